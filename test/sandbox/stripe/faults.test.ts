import type Stripe from 'stripe'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sdkClient, seedCustomer } from './sdk-client.ts'
import { type StripeSandbox, startStripeSandbox } from './stripe-sandbox.ts'

let sandbox: StripeSandbox
let stripe: Stripe
let customer: string

beforeEach(async () => {
  sandbox = await startStripeSandbox({ contract: 'strict' })
  stripe = sdkClient(sandbox)
  customer = await seedCustomer(stripe)
})
afterEach(() => sandbox.close())

const create = () => stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })
const failure = () => create().catch((error: Stripe.errors.StripeError) => error)
const invoiceCount = () => Object.keys(sandbox.world.state.invoices).length

describe('what the SDK makes of each fault (stripe §1.3), so that our wrapper is tested against the truth', () => {
  test('429 rate_limit is thrown, not retried, even with retries on', async () => {
    sandbox.faults.add({ operation: 'invoices.create', when: 'before', effect: 'rate_limit' })
    const patient = sdkClient(sandbox, { maxNetworkRetries: 2 })
    await expect(patient.invoices.create({ customer })).rejects.toMatchObject({ statusCode: 429, code: 'rate_limit' })
    expect(sandbox.journal.filter((entry) => entry.operation === 'invoices.create')).toHaveLength(1)
  })

  test('lock_timeout is stored under the key and replayed until another key is used', async () => {
    sandbox.faults.add({ operation: 'invoices.create', when: 'before', effect: 'lock_timeout' })
    expect(await failure()).toMatchObject({ code: 'lock_timeout', statusCode: 429 })
    expect(await failure()).toMatchObject({ code: 'lock_timeout', headers: { 'idempotent-replayed': 'true' } })
    expect(invoiceCount()).toBe(0)
    await stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k2' })
    expect(invoiceCount()).toBe(1)
  })

  test('a 500 before the work leaves nothing; after the work it is what the key replays', async () => {
    sandbox.faults.add({ operation: 'invoices.create', when: 'before', effect: 'server_error' })
    expect(await failure()).toMatchObject({ type: 'StripeAPIError', statusCode: 500 })
    expect(invoiceCount()).toBe(0)
    sandbox.faults.add({ operation: 'invoices.create', when: 'after', effect: 'server_error' })
    expect(await failure()).toMatchObject({ statusCode: 500 })
    expect(await failure()).toMatchObject({ statusCode: 500, headers: { 'idempotent-replayed': 'true' } })
    expect(invoiceCount()).toBe(1)
  })

  test.each(['timeout', 'malformed_json'] as const)(
    '%s after the work: the same key then finds the invoice',
    async (effect) => {
      sandbox.faults.add({ operation: 'invoices.create', when: 'after', effect })
      const hasty = sdkClient(sandbox, { timeout: effect === 'timeout' ? 500 : 20_000 })
      const lost = hasty.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })
      await expect(lost).rejects.toMatchObject({ type: expect.stringMatching(/^Stripe(Connection|API)Error$/) })
      expect(invoiceCount()).toBe(1)
      const found = await create()
      expect(found.lastResponse.headers['idempotent-replayed']).toBe('true')
      expect(invoiceCount()).toBe(1)
    },
  )

  test('a closed socket is retried once by the SDK itself, even at 0 retries', async () => {
    sandbox.faults.add({ operation: 'invoices.create', when: 'after', effect: 'socket_close' })
    expect((await create()).object).toBe('invoice')
    expect(sandbox.journal.filter((entry) => entry.operation === 'invoices.create')).toHaveLength(2)
    expect(invoiceCount()).toBe(1)
  })

  test('a 404 without `error` RESOLVES: whoever calls must look at the object', async () => {
    sandbox.faults.add({ operation: 'invoices.create', when: 'before', effect: 'not_found_without_error' })
    const wrong = await create()
    expect(wrong.object).toBeUndefined()
    expect(wrong.lastResponse.statusCode).toBe(404)
  })

  test('409 says the key is in use', async () => {
    sandbox.faults.add({ operation: 'invoices.create', when: 'before', effect: 'conflict' })
    expect(await failure()).toMatchObject({ statusCode: 409, code: 'idempotency_key_in_use' })
  })

  test('the plan counts calls of its own operation, or of all', async () => {
    sandbox.faults.add({ operation: 'invoices.create', nth: 2, times: 2, when: 'before', effect: 'rate_limit' })
    const statuses: (number | undefined)[] = []
    for (let i = 0; i < 4; i++) {
      const outcome = await stripe.invoices.create({ customer }).catch((error: Stripe.errors.StripeError) => error)
      statuses.push('statusCode' in outcome ? outcome.statusCode : 200)
    }
    expect(statuses).toEqual([200, 429, 429, 200])
  })
})

describe('refusals', () => {
  test('an unknown route answers with an error envelope, never with a body the SDK would resolve', async () => {
    await expect(stripe.payouts.list()).rejects.toMatchObject({ type: 'StripeInvalidRequestError', statusCode: 404 })
    expect(sandbox.contract?.take()).toEqual(['GET /v1/payouts request: no operation GET /v1/payouts'])
  })

  test('an unknown parameter is refused by name, nested ones too', async () => {
    const typo = { customer, metdata: { a: '1' } } as Stripe.InvoiceCreateParams
    await expect(stripe.invoices.create(typo)).rejects.toMatchObject({ code: 'parameter_unknown', param: 'metdata' })
    const nested = { customer, automatic_tax: { enabled: true, on: true } } as Stripe.InvoiceCreateParams
    await expect(stripe.invoices.create(nested)).rejects.toMatchObject({ param: 'automatic_tax[on]' })
    expect(sandbox.contract?.take()).toHaveLength(2)
  })

  test('an amount with a fraction, a missing parameter and a foreign currency are refused', async () => {
    const { id: invoice } = await stripe.invoices.create({ customer, currency: 'usd' })
    const item = (change: object) =>
      stripe.invoiceItems.create({ customer, invoice, amount: 1, currency: 'usd', ...change })
    await expect(item({ amount: 1.5 })).rejects.toMatchObject({ param: 'amount', statusCode: 400 })
    await expect(item({ amount: undefined })).rejects.toMatchObject({ code: 'parameter_missing' })
    await expect(item({ currency: 'eur' })).rejects.toMatchObject({ param: 'currency' })
    expect(sandbox.contract?.take()).toHaveLength(1)
  })

  test('a key that is not a test key gets 401', async () => {
    const live = sdkClient({ ...sandbox, apiKey: 'sk_live_x' })
    await expect(live.invoices.list()).rejects.toMatchObject({ type: 'StripeAuthenticationError' })
  })

  test('production refuses to start a sandbox', async () => {
    const before = process.env.NODE_ENV
    process.env.NODE_ENV = 'production'
    try {
      await expect(startStripeSandbox()).rejects.toThrow('production')
    } finally {
      process.env.NODE_ENV = before
    }
  })

  test('a contract violation makes close throw', async () => {
    const strict = await startStripeSandbox({ contract: 'strict' })
    await sdkClient(strict)
      .payouts.list()
      .catch(() => undefined)
    await expect(strict.close()).rejects.toThrow('no operation GET /v1/payouts')
  })
})
