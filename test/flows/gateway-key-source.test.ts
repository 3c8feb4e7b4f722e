import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import OpenAI from 'openai'
import { afterEach, describe, expect, test } from 'vitest'
import { reconcileHeldCalls } from '#app/domain/ledger/reconcile-held-calls.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import { useDatabase } from '#test/database.ts'
import {
  type Customer,
  customerKey,
  lastChat,
  ledgerOf,
  makeCustomer,
  openAttemptsOf,
  platformKey,
  until,
  useGateway,
} from '#test/gateway.ts'
import { fingerprintOf } from '#test/sandbox/openrouter/keys.ts'
import { readGeneration } from '#workers/read-generation.ts'

const db = useDatabase()
const gateway = useGateway(db)
const model = 'openai/gpt-5-mini'

const bodyOf = (stream: boolean) => JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'hello' }] })

const viaGateway = (customer: Customer, body: string, headers: Record<string, string> = {}) =>
  fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${customer.token}`, ...headers },
    body,
  })

afterEach(() => {
  gateway.sandbox.settings({ generationDelayMs: 0, generationStatus: null })
})

describe('whose key pays', () => {
  const keysUsed = (from: number) =>
    gateway.sandbox
      .chats()
      .slice(from)
      .map((line) => line.key)
  const own = fingerprintOf(customerKey)

  test.each([401, 402, 403, 429, 500, 502, 503])(
    'case 50: an upstream %i on the customer’s key fails visibly and never leads to the platform key',
    async (error) => {
      const customer = await makeCustomer()
      const from = gateway.sandbox.chats().length
      gateway.sandbox.fault({ scenario: { error } })
      const response = await viaGateway(customer, bodyOf(false))
      expect(response.status).toBe(error)
      expect(keysUsed(from)).toEqual([own])
    },
  )

  test('a key that does not open fails the call; nothing is sent', async () => {
    const customer = await makeCustomer()
    const from = gateway.sandbox.chats().length
    await db.owner.query(
      'UPDATE provider_keys SET ciphertext = set_byte(ciphertext, 3, (get_byte(ciphertext, 3) + 1) % 256) WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    const response = await viaGateway(customer, bodyOf(false))
    expect([response.status, (await response.json()).error.code]).toEqual([503, 'key_unavailable'])
    expect(keysUsed(from)).toEqual([])
    expect(await openAttemptsOf(db)).toBe(0)
  })

  test('a background surface, a plan without keys, a disabled key and no key at all are the platform’s', async () => {
    const platform = fingerprintOf(platformKey())
    const from = gateway.sandbox.chats().length
    const enterprise = await makeCustomer()
    for (const surface of ['search_indexer', 'attachment_text_extraction', 'mention_embedding_cache'])
      await viaGateway(enterprise, bodyOf(false), { 'x-keymargin-surface': surface })
    const moved = await makeCustomer()
    await db.owner.query("UPDATE workspaces SET plan_id = 'pro' WHERE id = $1", [moved.workspaceId])
    await viaGateway(moved, bodyOf(false))
    const disabled = await makeCustomer()
    await db.owner.query('UPDATE provider_keys SET enabled = false WHERE workspace_id = $1', [disabled.workspaceId])
    await viaGateway(disabled, bodyOf(false))
    await viaGateway(await makeCustomer({ key: null }), bodyOf(false))
    expect(keysUsed(from)).toEqual([platform, platform, platform, platform, platform, platform])
    const rows = await ledgerOf(db, enterprise.workspaceId)
    expect(rows.map((row) => [row.surface, row.key_source, row.charge_mode])).toEqual([
      ['search_indexer', 'platform', 'tier'],
      ['attachment_text_extraction', 'platform', 'tier'],
      ['mention_embedding_cache', 'platform', 'tier'],
    ])
    for (const row of rows) expect(row.charge_pico).toBe(row.tier_price_pico)
  })

  test('a refused key is marked for its card, and the mark is gone when the provider serves it again', async () => {
    const customer = await makeCustomer()
    const mark = async () => {
      const { rows } = await db.owner.query('SELECT last_error_code FROM provider_keys WHERE workspace_id = $1', [
        customer.workspaceId,
      ])
      return rows[0].last_error_code
    }
    gateway.sandbox.fault({ scenario: { error: 402 } })
    await viaGateway(customer, bodyOf(false))
    await until(async () => (await mark()) === 'payment_required', 'the mark')
    await viaGateway(customer, bodyOf(false))
    await until(async () => (await mark()) === null, 'the end of the mark')
  })

  test('the platform’s own 401 is a 502 without the provider’s words, and the operators hear of it', async () => {
    const customer = await makeCustomer({ key: null })
    gateway.sandbox.fault({ scenario: { error: 401, echoKey: true } })
    const response = await viaGateway(customer, bodyOf(false))
    const text = await response.text()
    expect([response.status, JSON.parse(text).error.code]).toEqual([502, 'platform_key_rejected'])
    expect(text).not.toContain(platformKey().slice(9, 25))
    await until(
      async () => (await db.owner.query("SELECT FROM alerts WHERE kind = 'platform_key_refused'")).rowCount === 1,
      'the alert',
    )
  })
})

describe('unknown is not zero', () => {
  test('a reply without usage is settled from the provider’s record', async () => {
    const customer = await makeCustomer()
    const client = new OpenAI({ baseURL: `${gateway.origin}/v1`, apiKey: customer.token, maxRetries: 0 })
    gateway.sandbox.settings({ generationDelayMs: 100 })
    for (const stream of [false, true] as const) {
      gateway.sandbox.fault({ scenario: { usage: 'none' } })
      if (stream) await client.chat.completions.stream(JSON.parse(bodyOf(false))).finalChatCompletion()
      else await client.chat.completions.create(JSON.parse(bodyOf(false)))
      expect((await ledgerOf(db, customer.workspaceId)).at(-1)).toMatchObject({
        status: 'ok',
        usage_source: 'generation',
        cost_source: 'generation',
        raw_cost_pico: parsePico(lastChat(gateway.sandbox).cost ?? ''),
      })
    }
  })

  test('with no record either, the margin is held, and the job books it when the record appears', async () => {
    const customer = await makeCustomer()
    gateway.sandbox.settings({ generationStatus: 503 })
    gateway.sandbox.fault({ scenario: { usage: 'none', output: 40 } })
    await (await viaGateway(customer, bodyOf(true))).text()
    const [held] = await ledgerOf(db, customer.workspaceId)
    expect(held).toMatchObject({
      status: 'ok',
      usage_source: 'estimated',
      cost_source: 'unknown',
      raw_cost_pico: null,
      charge_pico: null,
    })
    gateway.sandbox.settings({ generationStatus: null })
    expect(await reconcileHeldCalls(readGeneration, new Date())).toBe(1)
    expect(await reconcileHeldCalls(readGeneration, new Date())).toBe(0)
    const { rows } = await db.owner.query('SELECT * FROM metering.calls_now WHERE workspace_id = $1', [
      customer.workspaceId,
    ])
    const cost = parsePico(lastChat(gateway.sandbox).cost ?? '') as bigint
    expect(rows).toMatchObject([
      {
        output_tokens: '40',
        cost_source: 'generation',
        raw_cost_pico: cost.toString(),
        correction_reason: 'cost_resolved',
      },
    ])
    expect(BigInt(rows[0].charge_pico)).toBe(BigInt(rows[0].tier_price_pico) - cost)
    const rollup = await db.owner.query(
      'SELECT held_calls::int, charge_pico FROM metering.call_daily_rollups WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    expect(rollup.rows).toEqual([{ held_calls: 0, charge_pico: rows[0].charge_pico }])
  })

  test('on the platform key an estimate is charged, by a real tokenizer and marked as one', async () => {
    const customer = await makeCustomer({ key: null })
    gateway.sandbox.settings({ generationStatus: 503 })
    gateway.sandbox.fault({ scenario: { usage: 'none', output: 40 } })
    const stream = await (await viaGateway(customer, bodyOf(true))).text()
    const said = [...stream.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)]
      .map(([, text]) => JSON.parse(`"${text}"`))
      .join('')
    const [row] = await ledgerOf(db, customer.workspaceId)
    expect(row).toMatchObject({ usage_source: 'estimated', cost_source: 'unknown', charge_mode: 'tier' })
    expect(row?.output_tokens).toBe(countTokens(said))
    expect(row?.charge_pico).toBe(row?.tier_price_pico)
  })
})
