import { afterEach, expect, test } from 'vitest'
import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makeCustomer, openAttemptsOf, piecesOf, until, useGateway } from '#test/gateway.ts'

/** How single calls are rated at the edges, through the whole gateway (stripe §4 cases 56, 57, 67, 68). */
const db = useDatabase()
const gateway = useGateway(db)
afterEach(() => gateway.sandbox.settings({ generationDelayMs: 0, generationStatus: null }))

const ask = ({ token }: Customer, stream = false, signal?: AbortSignal, model = 'openai/gpt-5-mini') =>
  fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'hello' }] }),
    signal,
  })
const theCall = (customer: Customer) =>
  until(async () => {
    const rows = await ledgerOf(db, customer.workspaceId)
    return rows.length === 1 && (await openAttemptsOf(db)) === 0 && rows[0]
  }, 'the call in the ledger')

test('case 56: a call that cost nothing under margin mode: the full tier price is the margin', async () => {
  const customer = await makeCustomer()
  gateway.sandbox.fault({ scenario: { cost: '0', input: 9_000, output: 900 } })
  expect((await ask(customer)).status).toBe(200)
  const row = await theCall(customer)
  expect(row).toMatchObject({ charge_mode: 'tier_margin', raw_cost_pico: 0n, cost_source: 'provider' })
  expect(row.tier_price_pico).toBeGreaterThan(0n)
  expect(row.charge_pico).toBe(row.tier_price_pico)
})

test('case 57: prices that change in the month hold for the calls sent from then on; those of before stay as they were', async () => {
  const customer = await makeCustomer({ key: null, planId: 'pro' })
  const calls = async (so: number) =>
    until(async () => {
      const rows = await ledgerOf(db, customer.workspaceId)
      return rows.length === so && (await openAttemptsOf(db)) === 0 && rows
    }, `${so} calls in the ledger`)
  gateway.sandbox.fault({ scenario: { input: 9_000, output: 900 } })
  expect((await ask(customer)).status).toBe(200)
  const [before] = await calls(1)
  await db.owner.query(
    `INSERT INTO price_books (version, workspace_id, currency, effective_from) VALUES (957, $1, 'usd', now() - interval '1 minute')`,
    [customer.workspaceId],
  )
  await db.owner.query(
    `INSERT INTO tier_prices (price_book_version, tier, input_usd, output_usd) VALUES (957, $1, 0.001, 0.01)`,
    [before?.tier],
  )
  await db.owner.query('UPDATE price_books SET published_at = now() WHERE version = 957')
  forgetCatalogue()
  gateway.sandbox.fault({ scenario: { input: 9_000, output: 900 } })
  expect((await ask(customer)).status).toBe(200)
  const [first, second] = await calls(2)
  expect(first).toEqual(before)
  expect(first).toMatchObject({ charge_mode: 'tier', price_book_version: 1 })
  // 9,000 × $0.001 + 900 × $0.01
  expect(second).toMatchObject({ charge_mode: 'tier', price_book_version: 957, charge_pico: 18_000_000_000_000n })
  expect(first?.charge_pico).not.toBe(second?.charge_pico)
})

test.each([
  ['negative', 'openai/gpt-5-mini', '{"prompt_tokens":-10,"completion_tokens":5,"total_tokens":-5,"cost":0.1}'],
  [
    'no number',
    'anthropic/claude-sonnet-4.6',
    '{"prompt_tokens":"NaN","completion_tokens":5,"total_tokens":5,"cost":0.1}',
  ],
  [
    'absurd',
    'anthropic/claude-opus-4.6',
    '{"prompt_tokens":9007199254740993,"completion_tokens":5,"total_tokens":6,"cost":0.1}',
  ],
])(
  'case 67: tokens that are %s are taken out of billing until the provider’s record says what they were, and operators are told',
  async (_what, model, usageText) => {
    const customer = await makeCustomer()
    gateway.sandbox.settings({ generationStatus: 503 })
    gateway.sandbox.fault({ scenario: { usageText } })
    expect((await ask(customer, false, undefined, model)).status).toBe(200)
    expect(await theCall(customer)).toMatchObject({ charge_pico: null, raw_cost_pico: null, cost_source: 'unknown' })
    const told = await until(async () => {
      const { rows } = await db.owner.query(
        "SELECT reference FROM alerts WHERE kind = 'usage_refused' AND resolved_at IS NULL AND reference = $1",
        [`openrouter ${model}`],
      )
      return rows.length > 0
    }, 'the alert')
    expect(told).toBe(true)
  },
)

test('case 68: a stream that its caller leaves is billed by its usage; an upstream error without usage is not billed', async () => {
  const left = await makeCustomer()
  gateway.sandbox.fault({ scenario: { gapMs: 20, chunks: 10 } })
  const leaving = new AbortController()
  const response = await ask(left, true, leaving.signal)
  for await (const _piece of piecesOf(response)) break
  leaving.abort()
  const aborted = await theCall(left)
  expect(aborted.status).toBe('client_closed')
  expect(aborted.charge_pico).toBeGreaterThan(0n)
  const failed = await makeCustomer()
  gateway.sandbox.fault({ scenario: { error: 500 } })
  expect((await ask(failed)).status).toBe(500)
  expect(await theCall(failed)).toMatchObject({ charge_pico: 0n, input_tokens: null })
})
