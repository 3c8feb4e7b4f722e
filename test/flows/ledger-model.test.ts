import { expect, test } from 'vitest'
import { type Dispatch, type Outcome, settleCall } from '#app/domain/ledger/ledger.ts'
import { openAttempt } from '#app/domain/ledger/open-attempts.server.ts'
import { ensurePartitions, recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { basisOf } from '#test/simulator/calls.ts'
import * as model from '#test/simulator/ledger-model.ts'
import { Random } from '#test/simulator/random.ts'
import { book } from '#test/simulator/world.ts'

const db = useDatabase()
const day = 86_400_000
const noProgress = {
  httpStatus: null,
  errorCode: null,
  responseModel: null,
  latencyMs: null,
  firstByteMs: null,
  upstreamId: null,
}

const uuid = (random: Random): string => {
  const hex = Array.from({ length: 32 }, () => random.below(16).toString(16)).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

const modes = [
  ['tier', 'platform', null],
  ['credits', 'platform', null],
  ['markup', 'platform', 10_000],
  ['tier_margin', 'workspace', null],
  ['markup', 'workspace', 500],
  ['flat_fee', 'workspace', null],
  ['pass_through', 'workspace', null],
] as const

class Pair {
  readonly random: Random
  readonly workspace: model.ModelWorkspace
  readonly dispatches: Dispatch[] = []

  constructor(seed: number, workspaceId: string) {
    this.random = new Random(seed)
    this.workspace = new model.ModelWorkspace(workspaceId)
  }

  #dispatch(): Dispatch {
    const { random, workspace } = this
    const [chargeMode, keySource, markupBp] = random.pick(modes)
    const own = keySource === 'workspace'
    return {
      workspaceId: workspace.id,
      id: uuid(random),
      dispatchedAt: new Date(Date.UTC(2026, random.below(3), 1 + random.below(28), random.below(24))),
      tokenId: null,
      surface: 'agent_run',
      provider: 'openrouter',
      model: random.pick(['a/model', 'b/model']),
      upstreamModel: null,
      endpoint: 'chat',
      fallbackOf: null,
      tier: random.pick(['frontier', 'balanced'] as const),
      keySource,
      keyId: own ? uuid(random) : null,
      keyVersion: own ? 1 : null,
      chargeMode,
      markupBp,
      priceBookVersion: 1,
      streamed: false,
    }
  }

  async open(): Promise<void> {
    const dispatch =
      this.random.chance(100) && this.dispatches.length > 0 ? this.random.pick(this.dispatches) : this.#dispatch()
    if (this.workspace.calls.has(dispatch.id)) return
    const mostChargePico = BigInt(this.random.below(3_000)) * 10_000_000n
    const keyEpoch = this.random.chance(60) ? 7n : 0n
    const attempt = { dispatch, processId: 'p', openedAt: 0, keyEpoch, mostChargePico }
    const expected = model.openAttempt(this.workspace, attempt, Date.now())
    const real = { ...dispatch, processId: 'p', promptTokensEstimate: 1, keyEpoch, mostChargePico, mostCostPico: 0n }
    expect(await openAttempt(real)).toBe(expected)
    if (expected === 'opened') this.dispatches.push(dispatch)
  }

  async settle(): Promise<void> {
    if (this.dispatches.length === 0) return
    const { random } = this
    const dispatch = random.pick(this.dispatches)
    const known = !random.chance(250)
    const usage = {
      inputTokens: BigInt(random.below(900)),
      outputTokens: BigInt(random.below(300)),
      cacheReadTokens: random.chance(300) ? 5n : null,
      cacheWriteTokens: null,
      reasoningTokens: null,
      usageSource: 'provider' as const,
      rawCostPico: known ? BigInt(random.below(3)) * 1_234_567_891n : null,
      costSource: known ? ('provider' as const) : ('unknown' as const),
      costClamped: false,
      priceRow: null,
    }
    const status = random.pick(['ok', 'upstream_error', 'client_closed'] as const)
    const outcome: Outcome = { origin: 'gateway', status, ...noProgress, ...usage }
    const record = settleCall(dispatch, outcome, book, basisOf(dispatch, usage))
    const expected = model.settleCall(this.workspace, record, Date.now())
    expect(await recordCalls([record])).toEqual([expected])
  }

  async correct(): Promise<void> {
    const held = [...this.workspace.calls.values()].filter((call) => call.chargePico === null)
    if (held.length === 0) return
    const call = this.random.pick(held)
    const rawCostPico = BigInt(1 + this.random.below(9)) * 777_777_777n
    const tierPricePico = call.tierPricePico ?? 0n
    const markup = call.chargeMode === 'markup'
    const basisPico = markup ? rawCostPico : null
    const share = (rawCostPico * BigInt(call.markupBp ?? 0) + 5_000n) / 10_000n
    const exact = (rawCostPico * BigInt(call.markupBp ?? 0)) % 10_000n
    if (markup && exact === 5_000n) return // half to even is what another test is about
    const margin = tierPricePico > rawCostPico ? tierPricePico - rawCostPico : 0n
    const chargePico = markup ? share : margin
    const correction = { rawCostPico, basisPico, tierPricePico, inputTokens: 11n, outputTokens: 3n, chargePico }
    const expected = model.correctHeldCall(this.workspace, call.id, { ...correction, reason: 'cost_resolved' })
    const { rows } = await db.owner.query(
      `SELECT metering.correct_held_call($1, $2, $3, 'cost_resolved', 11, 3, $4, 'generation', $5, $6, $7, $8) AS done`,
      [
        call.workspaceId,
        call.dispatchedAt,
        call.id,
        rawCostPico,
        tierPricePico,
        basisPico,
        markup ? 'raw_cost' : null,
        chargePico,
      ],
    )
    expect(rows[0].done).toBe(expected)
  }

  async grant(): Promise<void> {
    const { random, workspace } = this
    const grant = {
      id: uuid(random),
      amountPico: BigInt(1 + random.below(40_000)) * 1_000_003n,
      grantedAt: Date.UTC(2026, 0, 1 + random.below(20)),
      expiresAt: random.pick([null, Date.now() + day * (1 + random.below(9)), Date.now() - day]),
    }
    model.grantCredits(workspace, grant)
    const expiry = grant.expiresAt === null ? null : new Date(grant.expiresAt)
    await db.owner.query("SELECT metering.grant_credits($1, $2, 'promotional', $3, $4, $5, $6)", [
      workspace.id,
      grant.id,
      grant.id,
      grant.amountPico,
      new Date(grant.grantedAt),
      expiry,
    ])
  }

  async expire(): Promise<void> {
    model.expireCredits(this.workspace, Date.now())
    await db.owner.query('SELECT metering.expire_credits()')
  }

  async close(): Promise<void> {
    const month = this.workspace.closed === null ? '2026-01' : model.monthAfter(this.workspace.closed)
    if (month > '2026-02') return
    model.closeMonth(this.workspace, month)
    await db.owner.query('SELECT metering.cut_off_held_calls($1, $2::date)', [this.workspace.id, `${month}-01`])
    await db.owner.query('INSERT INTO metering.closed_months (workspace_id, month) VALUES ($1, $2::date)', [
      this.workspace.id,
      `${month}-01`,
    ])
  }

  async compare(): Promise<void> {
    const { workspace } = this
    const ask = async (sql: string) => (await db.owner.query(sql, [workspace.id])).rows
    const text = (value: bigint | null | undefined) => (value === null || value === undefined ? null : value.toString())
    const calls = await ask(
      `SELECT id::text, to_char(billing_month, 'YYYY-MM') AS month, charge_pico::text AS charge, credit_pico::text AS credit
         FROM metering.calls_now WHERE workspace_id = $1 ORDER BY id`,
    )
    const expected = [...workspace.calls.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
    expect(calls).toEqual(
      expected.map((call) => ({
        id: call.id,
        month: call.billingMonth,
        charge: text(call.chargePico ?? workspace.corrections.get(call.id)?.chargePico),
        credit: text(call.creditPico),
      })),
    )
    const rollups = await ask(
      `SELECT to_char(billing_month, 'YYYY-MM') AS "billingMonth", to_char(day, 'YYYY-MM') AS "usageMonth", charge_mode AS "chargeMode",
         tier, key_source AS "keySource", markup_bp AS "markupBp", sum(calls)::text AS calls, sum(held_calls)::text AS held,
         sum(input_tokens)::text AS input, sum(output_tokens)::text AS output, sum(raw_cost_pico)::text AS raw,
         sum(tier_price_pico)::text AS price, sum(basis_pico)::text AS basis, sum(charge_pico)::text AS charge,
         sum(credit_pico)::text AS credit
       FROM metering.call_daily_rollups WHERE workspace_id = $1 GROUP BY 1, 2, 3, 4, 5, 6`,
    )
    const sums = [...workspace.rollups.values()].map((row) => ({
      billingMonth: row.billingMonth,
      usageMonth: row.usageMonth,
      chargeMode: row.chargeMode,
      tier: row.tier,
      keySource: row.keySource,
      markupBp: row.markupBp,
      calls: text(row.calls),
      held: text(row.heldCalls),
      input: text(row.inputTokens),
      output: text(row.outputTokens),
      raw: text(row.rawCostPico),
      price: text(row.tierPricePico),
      basis: text(row.basisPico),
      charge: text(row.chargePico),
      credit: text(row.creditPico),
    }))
    const inOrder = (rows: object[]) => rows.map((row) => JSON.stringify(row)).sort()
    expect(inOrder(rollups)).toEqual(inOrder(sums))
    const accounts = await ask(
      'SELECT account, balance_pico::text AS balance FROM metering.credit_recount WHERE workspace_id = $1',
    )
    const kept = new Map(accounts.map((row) => [row.account, row.balance]))
    for (const [account, balance] of workspace.accounts)
      expect([account, kept.get(account)]).toEqual([account, text(balance)])
    const grants = await ask(
      'SELECT id::text, available_pico::text AS available FROM metering.credit_grants WHERE workspace_id = $1',
    )
    expect(inOrder(grants)).toEqual(
      inOrder(workspace.grants.map((one) => ({ id: one.id, available: text(one.availablePico) }))),
    )
    const short = await ask(
      'SELECT coalesce(sum(amount_pico), 0)::text AS short FROM metering.credit_shortfalls WHERE workspace_id = $1',
    )
    expect(short[0].short).toBe(text([...workspace.shortfalls.values()].reduce((sum, one) => sum + one, 0n)))
  }
}

test.each(Array.from({ length: 24 }, (_, index) => index + 1))(
  'the simulator’s ledger does what PostgreSQL does, step by step (seed %i)',
  async (seed) => {
    await ensurePartitions([0, 1, 2].map((month) => new Date(Date.UTC(2026, month, 1))))
    const { id } = await makeWorkspace()
    const pair = new Pair(seed, id)
    const steps = ['open', 'open', 'open', 'settle', 'settle', 'settle', 'correct', 'grant', 'expire', 'close'] as const
    for (let step = 0; step < 60; step += 1) {
      const chosen = pair.random.pick(steps)
      if (chosen !== 'close' || pair.random.chance(200)) await pair[chosen]()
    }
    await pair.compare()
  },
)
