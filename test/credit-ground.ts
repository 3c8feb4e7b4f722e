import { expect } from 'vitest'
import { grantCredits } from '#app/domain/credits/grant-credits.server.ts'
import { type Opening, openAttempt } from '#app/domain/ledger/open-attempts.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import type { TestDatabase } from './database.ts'
import { type GatewayUnderTest, type Row, until } from './gateway.ts'

let serial = 0

/** Grants credits outright. @returns the grant's id */
export async function grant(
  db: TestDatabase,
  workspaceId: string,
  amountPico: bigint,
  parts: { kind?: 'monthly' | 'purchased' | 'promotional'; expiresAt?: Date | null; reference?: string } = {},
): Promise<string> {
  const { kind = 'promotional', expiresAt = null, reference = `test:${++serial}` } = parts
  const actor = { kind: 'system' } as const
  await inSystem((tx) =>
    grantCredits(tx, { workspaceId, kind, amountPico, reference, expiresAt, actor, at: new Date() }),
  )
  const { rows } = await db.owner.query(
    'SELECT id FROM metering.credit_grants WHERE workspace_id = $1 AND reference = $2',
    [workspaceId, reference],
  )
  return rows[0].id
}

export interface Purse {
  available: bigint
  held: bigint
  spent: bigint
  expired: bigint
  shortfall: bigint
}

/** What a workspace's credits come to, from the rows that are kept. */
export async function purseOf(db: TestDatabase, workspaceId: string): Promise<Purse> {
  const sum = async (text: string) => {
    const { rows } = await db.owner.query(text, [workspaceId])
    return BigInt(rows[0].sum ?? 0)
  }
  const moved = (account: string) =>
    sum(`SELECT sum(balance_pico) FROM metering.credit_recount WHERE workspace_id = $1 AND account = '${account}'`)
  return {
    available: await sum('SELECT sum(available_pico) FROM metering.credit_grants WHERE workspace_id = $1'),
    held: await sum('SELECT sum(amount_pico) FROM metering.credit_holds WHERE workspace_id = $1'),
    spent: await moved('spent'),
    expired: await moved('expired'),
    shortfall: await sum('SELECT sum(amount_pico) FROM metering.credit_shortfalls WHERE workspace_id = $1'),
  }
}

/** The transfers alone give every balance that is kept, nothing is below zero, and nothing came from nowhere. */
export async function expectBooksAgree(db: TestDatabase, workspaceId: string): Promise<void> {
  const { rows } = await db.owner.query(
    `SELECT r.account, r.balance_pico::text AS counted, CASE
        WHEN r.account = 'held' THEN (SELECT coalesce(sum(amount_pico), 0) FROM metering.credit_holds h WHERE h.workspace_id = $1)
        WHEN r.account LIKE 'grant:%' THEN (SELECT available_pico FROM metering.credit_grants g WHERE g.workspace_id = $1 AND 'grant:' || g.id = r.account)
        WHEN r.account = 'issued' THEN (SELECT -sum(amount_pico) FROM metering.credit_grants g WHERE g.workspace_id = $1)
        ELSE r.balance_pico END::text AS kept
      FROM metering.credit_recount r WHERE r.workspace_id = $1`,
    [workspaceId],
  )
  expect(rows.length).toBeGreaterThan(0)
  for (const { account, counted, kept } of rows) expect([account, counted]).toEqual([account, kept])
  const sums = rows.map((row) => BigInt(row.counted))
  expect(sums.reduce((total, sum) => total + sum, 0n)).toBe(0n)
  for (const { account, counted } of rows) if (account !== 'issued') expect(BigInt(counted)).toBeGreaterThanOrEqual(0n)
}

/** An attempt on the platform's key that draws credits, as the gateway opens one. */
export function creditOpening(over: Partial<Opening> & { workspaceId: string }): Opening {
  const id = newId()
  const dispatch = { id, dispatchedAt: idTime(id), tokenId: null, surface: 'agent_run', provider: 'openrouter' }
  const asked = { model: 'openai/gpt-5-mini', upstreamModel: null, endpoint: 'chat', fallbackOf: null } as const
  const price = {
    tier: 'cost_effective',
    chargeMode: 'credits',
    priceBookVersion: 1,
    promptTokensEstimate: 10,
  } as const
  const key = { keySource: 'platform', keyId: null, keyVersion: null, keyEpoch: 0n } as const
  const most = { markupBp: null, mostChargePico: 0n, mostCostPico: 0n }
  return { ...dispatch, ...asked, ...price, ...key, ...most, streamed: false, processId: 'silent', ...over }
}

export const openWith = (over: Partial<Opening> & { workspaceId: string }) => openAttempt(creditOpening(over))

/** One chat call through the gateway. Tokens are what the sandbox is told to report. */
export async function chat(
  gateway: Pick<GatewayUnderTest, 'origin'>,
  token: string,
  {
    maxTokens = 10,
    headers = {},
    model = 'openai/gpt-5-mini',
  }: { maxTokens?: number; headers?: Record<string, string>; model?: string } = {},
): Promise<Response> {
  return fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body: JSON.stringify({ model, max_tokens: maxTokens, messages: [{ role: 'user', content: 'hello' }] }),
  })
}

/** Waits until a workspace has this many attempts open. */
export const untilOpen = (db: TestDatabase, workspaceId: string, open: number) =>
  until(async () => {
    const { rows } = await db.owner.query<Row>(
      'SELECT count(*)::int AS open FROM metering.attempts WHERE workspace_id = $1',
      [workspaceId],
    )
    return rows[0]?.open === open
  }, `${open} open attempts`)
