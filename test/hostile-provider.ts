import { expect } from 'vitest'
import type { TestDatabase } from './database.ts'
import { customerKey, type GatewayUnderTest, ledgerOf, makeCustomer, openAttemptsOf, type Row } from './gateway.ts'
import type { RawReply, Scenario } from './sandbox/openrouter/scenario.ts'

export const hostileModel = 'openai/gpt-5-mini'

/** What a hostile reply must come to: the caller's status, and what the ledger says. */
export interface Expected {
  status: number
  code?: string
  row: Row
}

export const completion = (usage: string) =>
  `{"model":"${hostileModel}","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]${usage === '' ? '' : `,"usage":${usage}`}}`
export const json = (usage: string): Scenario => ({ raw: { status: 200, pieces: [completion(usage)] } })
export const reply = (raw: Partial<RawReply> & { pieces: string[] }): Scenario => ({ raw: { status: 200, ...raw } })
export const typed = (type: string, ...pieces: string[]) => reply({ headers: [['content-type', type]], pieces })
export const sse = (...pieces: string[]) => typed('text/event-stream', ...pieces)
export const counts = '"prompt_tokens":10,"completion_tokens":5,"total_tokens":15'
export const base64 = (bytes: Buffer) => `base64:${bytes.toString('base64')}`

export const unknownCost = { raw_cost_pico: null, cost_source: 'unknown', charge_pico: null }
export const invalid: Expected = {
  status: 502,
  code: 'upstream_invalid',
  row: { status: 'upstream_error', error_code: 'upstream_invalid', ...unknownCost },
}
export const held: Expected = { status: 200, row: { status: 'ok', ...unknownCost } }
export const metered = (row: Row): Expected => ({
  status: 200,
  row: { status: 'ok', usage_source: 'provider', input_tokens: 10, output_tokens: 5, ...row },
})
/** Ten tokens in and five out at the list price: 12,500,000 pico-dollars. */
export const fiveTimesList = 5n * 12_500_000n

export interface Meeting {
  status: number
  headers: Headers
  text: string
  rows: Row[]
}

/** Sends one call through the gateway to a provider that behaves as the scenario says. */
export function useHostileProvider(db: TestDatabase, gateway: GatewayUnderTest) {
  async function meet(scenario: Scenario, streamed: boolean): Promise<Meeting> {
    const customer = await makeCustomer()
    gateway.sandbox.fault({ scenario })
    const response = await fetch(`${gateway.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${customer.token}` },
      body: JSON.stringify({ model: hostileModel, stream: streamed, messages: [{ role: 'user', content: 'hello' }] }),
    })
    const text = await response.text().catch(() => 'broken off')
    const rows = await ledgerOf(db, customer.workspaceId)
    return { status: response.status, headers: response.headers, text, rows }
  }

  async function check(scenario: Scenario, streamed: boolean, expected: Expected) {
    const met = await meet(scenario, streamed)
    expect(met.status).toBe(expected.status)
    if (expected.code) expect(JSON.parse(met.text).error.code).toBe(expected.code)
    expect(met.text).not.toContain(customerKey.slice(9, 30))
    expect(met.rows).toHaveLength(1)
    expect(met.rows[0]).toMatchObject(expected.row)
    expect(await openAttemptsOf(db)).toBe(0)
    return met
  }

  return { meet, check }
}
