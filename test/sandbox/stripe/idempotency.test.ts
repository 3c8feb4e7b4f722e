import type Stripe from 'stripe'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sdkClient, seedCustomer } from './sdk-client.ts'
import { type StripeSandbox, startStripeSandbox } from './stripe-sandbox.ts'

let sandbox: StripeSandbox
let stripe: Stripe

beforeEach(async () => {
  sandbox = await startStripeSandbox({ contract: 'strict' })
  stripe = sdkClient(sandbox)
})
afterEach(() => sandbox.close())

const invoiceCount = () => Object.keys(sandbox.world.state.invoices).length

describe('an idempotency key', () => {
  test('with the same parameters replays the first answer and creates nothing', async () => {
    const customer = await seedCustomer(stripe)
    const first = await stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })
    const second = await stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })
    expect(second.id).toBe(first.id)
    expect(second.lastResponse.headers['idempotent-replayed']).toBe('true')
    expect(first.lastResponse.headers['idempotent-replayed']).toBeUndefined()
    expect(invoiceCount()).toBe(1)
  })

  test('with other parameters is refused as an idempotency error', async () => {
    const customer = await seedCustomer(stripe)
    await stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })
    const other = stripe.invoices.create({ customer, currency: 'eur' }, { idempotencyKey: 'k1' })
    await expect(other).rejects.toMatchObject({ type: 'StripeIdempotencyError', statusCode: 400 })
    expect(invoiceCount()).toBe(1)
  })

  test('replays a failure that happened during execution, even once its cause is gone', async () => {
    const create = () => stripe.invoices.create({ customer: 'cus_sbx_none', currency: 'usd' }, { idempotencyKey: 'k1' })
    await expect(create()).rejects.toMatchObject({ code: 'resource_missing', statusCode: 404 })
    const replayed = await create().catch((error: Stripe.errors.StripeError) => error)
    expect(replayed).toMatchObject({ code: 'resource_missing', headers: { 'idempotent-replayed': 'true' } })
  })

  test('stays usable after a refusal that happened before execution', async () => {
    const customer = await seedCustomer(stripe)
    const wrong = { customer, currency: 'usd', metadata: { ['k'.repeat(41)]: 'v' } }
    await expect(stripe.invoices.create(wrong, { idempotencyKey: 'k1' })).rejects.toMatchObject({ statusCode: 400 })
    await expect(stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })).resolves.toBeDefined()
    sandbox.faults.add({ operation: 'invoices.create', when: 'before', effect: 'rate_limit' })
    const limited = () => stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k2' })
    await expect(limited()).rejects.toMatchObject({ statusCode: 429, code: 'rate_limit' })
    await expect(limited()).resolves.toBeDefined()
  })

  test('in use by a running request answers 409 and keeps the first result', async () => {
    const customer = await seedCustomer(stripe)
    const [reached, refused] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const slow = { operation: 'invoices.create', when: 'before', effect: 'slow' } as const
    sandbox.faults.add({ ...slow, onHit: reached.resolve, until: () => refused.promise })
    const create = () => stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })
    const first = create()
    await reached.promise
    await expect(create()).rejects.toMatchObject({ code: 'idempotency_key_in_use' })
    refused.resolve()
    const { id } = await first
    expect((await create()).id).toBe(id)
    expect(invoiceCount()).toBe(1)
  })

  test('is forgotten after 24 hours: the same request then creates a second object', async () => {
    const customer = await seedCustomer(stripe)
    const create = () => stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })
    const { id } = await create()
    sandbox.control.advanceClock(23.9 * 3_600_000)
    expect((await create()).id).toBe(id)
    sandbox.control.advanceClock(0.2 * 3_600_000)
    expect((await create()).id).not.toBe(id)
  })
})
