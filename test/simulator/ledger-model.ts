/**
 * The metering tables as a state machine: what metering.open_attempts, settle_calls, correct_held_call and the close of a month do
 * to them, each in one step, as a transaction does. That the real functions do the same is shown by a test of its own, which plays
 * the same steps against PostgreSQL.
 */
import type { CallRecord, Dispatch } from '#app/domain/ledger/ledger.ts'
import type { Pico } from '#app/platform/pico.ts'

export interface ModelAttempt {
  dispatch: Dispatch
  processId: string
  openedAt: number
  keyEpoch: bigint
  mostChargePico: Pico
}

export interface ModelCall extends CallRecord {
  billingMonth: string
}

export interface Correction {
  rawCostPico: Pico | null
  basisPico: Pico | null
  tierPricePico: Pico | null
  inputTokens: bigint | null
  outputTokens: bigint | null
  chargePico: Pico
  reason: 'cost_resolved' | 'cost_cutoff'
}

/** Sums of a rollup row, in the order of its columns. */
export interface RollupRow {
  billingMonth: string
  usageMonth: string
  chargeMode: string
  tier: string
  keySource: string
  priceBookVersion: number
  markupBp: number
  calls: bigint
  heldCalls: bigint
  inputTokens: bigint
  outputTokens: bigint
  rawCostPico: Pico
  tierPricePico: Pico
  basisPico: Pico
  chargePico: Pico
  creditPico: Pico
}

export interface Grant {
  id: string
  amountPico: Pico
  availablePico: Pico
  grantedAt: number
  expiresAt: number | null
}

export interface Hold {
  grant: Grant
  amountPico: Pico
}

export class ModelWorkspace {
  readonly id: string
  keyEpoch = 0n
  /** Newest closed month. */
  closed: string | null = null
  readonly attempts = new Map<string, ModelAttempt>()
  readonly calls = new Map<string, ModelCall>()
  readonly corrections = new Map<string, Correction>()
  readonly rollups = new Map<string, RollupRow>()
  readonly grants: Grant[] = []
  readonly holds = new Map<string, Hold[]>()
  readonly shortfalls = new Map<string, Pico>()
  /** Double entry: every account's balance. */
  readonly accounts = new Map<string, Pico>()

  constructor(id: string) {
    this.id = id
  }
}

export const monthOfMs = (ms: number): string => new Date(ms).toISOString().slice(0, 7)
export function monthAfter(month: string): string {
  const [year, number] = month.split('-').map(Number) as [number, number]
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, '0')}`
}
const later = (a: string, b: string): string => (a > b ? a : b)
const least = (a: Pico, b: Pico): Pico => (a < b ? a : b)

/** What billing_month_of answers. */
export const billingMonthOf = (workspace: ModelWorkspace, dispatchedAt: Date): string => {
  const month = monthOfMs(dispatchedAt.getTime())
  return workspace.closed === null ? month : later(month, monthAfter(workspace.closed))
}

function move(workspace: ModelWorkspace, from: string, to: string, amount: Pico): void {
  workspace.accounts.set(from, (workspace.accounts.get(from) ?? 0n) - amount)
  workspace.accounts.set(to, (workspace.accounts.get(to) ?? 0n) + amount)
}

export function grantCredits(workspace: ModelWorkspace, grant: Omit<Grant, 'availablePico'>): void {
  workspace.grants.push({ ...grant, availablePico: grant.amountPico })
  move(workspace, 'issued', `grant:${grant.id}`, grant.amountPico)
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
const soonestFirst = (a: Grant, b: Grant): number => {
  const [one, other] = [a.expiresAt ?? Number.POSITIVE_INFINITY, b.expiresAt ?? Number.POSITIVE_INFINITY]
  if (one !== other) return one - other
  return a.grantedAt - b.grantedAt || compareText(a.id, b.id)
}

interface Taking {
  subject: string
  amount: Pico
  kind: 'hold' | 'settle'
  whole: boolean
  now: number
}

function takeCredits(workspace: ModelWorkspace, { subject, amount, kind, whole, now }: Taking): Pico {
  if (amount <= 0n) return 0n
  const usable = workspace.grants
    .filter((grant) => grant.availablePico > 0n && (grant.expiresAt === null || grant.expiresAt > now))
    .sort(soonestFirst)
  if (whole && usable.reduce((sum, grant) => sum + grant.availablePico, 0n) < amount) return 0n
  let missing = amount
  for (const grant of usable) {
    const part = least(missing, grant.availablePico)
    if (part === 0n) break
    grant.availablePico -= part
    move(workspace, `grant:${grant.id}`, kind === 'hold' ? 'held' : 'spent', part)
    if (kind === 'hold')
      workspace.holds.set(subject, [...(workspace.holds.get(subject) ?? []), { grant, amountPico: part }])
    missing -= part
  }
  return amount - missing
}

function settleCredits(workspace: ModelWorkspace, call: string, cost: Pico, now: number): void {
  let missing = cost
  const holds = [...(workspace.holds.get(call) ?? [])].sort((a, b) => soonestFirst(a.grant, b.grant))
  for (const { grant, amountPico } of holds) {
    const used = least(missing, amountPico)
    if (used > 0n) move(workspace, 'held', 'spent', used)
    missing -= used
    const back = amountPico - used
    if (back === 0n) continue
    const ended = grant.expiresAt !== null && grant.expiresAt <= now
    move(workspace, 'held', ended ? 'expired' : `grant:${grant.id}`, back)
    if (!ended) grant.availablePico += back
  }
  workspace.holds.delete(call)
  missing -= takeCredits(workspace, { subject: call, amount: missing, kind: 'settle', whole: false, now })
  if (missing > 0n) workspace.shortfalls.set(call, (workspace.shortfalls.get(call) ?? 0n) + missing)
}

export function expireCredits(workspace: ModelWorkspace, now: number): void {
  for (const grant of workspace.grants) {
    if (grant.availablePico === 0n || grant.expiresAt === null || grant.expiresAt > now) continue
    move(workspace, `grant:${grant.id}`, 'expired', grant.availablePico)
    grant.availablePico = 0n
  }
}

/** metering.open_attempts, for one attempt. */
export function openAttempt(
  workspace: ModelWorkspace,
  attempt: ModelAttempt,
  now: number,
): 'opened' | 'stale' | 'credits' {
  const { id, chargeMode } = attempt.dispatch
  if (attempt.keyEpoch !== workspace.keyEpoch) return 'stale'
  if (!workspace.attempts.has(id)) workspace.attempts.set(id, attempt)
  if (chargeMode === 'credits' && !workspace.holds.has(id)) {
    const amount = attempt.mostChargePico > 1n ? attempt.mostChargePico : 1n
    if (takeCredits(workspace, { subject: id, amount, kind: 'hold', whole: true, now }) === 0n) {
      workspace.attempts.delete(id)
      return 'credits'
    }
  }
  return 'opened'
}

const rollupKey = (call: ModelCall): string =>
  [
    monthOfMs(call.dispatchedAt.getTime()),
    call.billingMonth,
    call.chargeMode,
    call.tier,
    call.keySource,
    call.priceBookVersion,
    call.markupBp ?? 0,
  ].join('/')

function rollUp(workspace: ModelWorkspace, call: ModelCall): void {
  const key = rollupKey(call)
  const row = workspace.rollups.get(key) ?? {
    billingMonth: call.billingMonth,
    usageMonth: monthOfMs(call.dispatchedAt.getTime()),
    chargeMode: call.chargeMode,
    tier: call.tier,
    keySource: call.keySource,
    priceBookVersion: call.priceBookVersion,
    markupBp: call.markupBp ?? 0,
    calls: 0n,
    heldCalls: 0n,
    inputTokens: 0n,
    outputTokens: 0n,
    rawCostPico: 0n,
    tierPricePico: 0n,
    basisPico: 0n,
    chargePico: 0n,
    creditPico: 0n,
  }
  row.calls += 1n
  if (call.chargePico === null) row.heldCalls += 1n
  row.inputTokens += call.inputTokens ?? 0n
  row.outputTokens += call.outputTokens ?? 0n
  row.rawCostPico += call.rawCostPico ?? 0n
  row.tierPricePico += call.tierPricePico ?? 0n
  row.basisPico += call.basisPico ?? 0n
  row.chargePico += call.chargePico ?? 0n
  row.creditPico += call.creditPico
  workspace.rollups.set(key, row)
}

/** metering.settle_calls, for one call. @returns whether it was taken now */
export function settleCall(workspace: ModelWorkspace, record: CallRecord, now: number): boolean {
  if (!workspace.attempts.delete(record.id)) return false
  const call: ModelCall = { ...record, billingMonth: billingMonthOf(workspace, record.dispatchedAt) }
  workspace.calls.set(record.id, call)
  rollUp(workspace, call)
  if (workspace.holds.has(record.id)) settleCredits(workspace, record.id, record.creditPico, now)
  return true
}

/** metering.correct_held_call. @returns whether it was corrected now */
export function correctHeldCall(workspace: ModelWorkspace, id: string, correction: Correction): boolean {
  const call = workspace.calls.get(id)
  if (!call || call.chargePico !== null || workspace.corrections.has(id)) return false
  workspace.corrections.set(id, correction)
  const row = workspace.rollups.get(rollupKey(call))
  if (!row) throw new Error('a call without its rollup')
  row.heldCalls -= 1n
  row.inputTokens += (correction.inputTokens ?? call.inputTokens ?? 0n) - (call.inputTokens ?? 0n)
  row.outputTokens += (correction.outputTokens ?? call.outputTokens ?? 0n) - (call.outputTokens ?? 0n)
  row.rawCostPico += correction.rawCostPico ?? 0n
  row.tierPricePico += (correction.tierPricePico ?? call.tierPricePico ?? 0n) - (call.tierPricePico ?? 0n)
  row.basisPico += correction.basisPico ?? 0n
  row.chargePico += correction.chargePico
  return true
}

/** metering.cut_off_held_calls and the mark that closes the month. */
export function closeMonth(workspace: ModelWorkspace, month: string): void {
  for (const call of workspace.calls.values()) {
    if (call.billingMonth !== month || call.chargePico !== null || workspace.corrections.has(call.id)) continue
    const unknown = { rawCostPico: null, basisPico: null, tierPricePico: null, inputTokens: null, outputTokens: null }
    workspace.corrections.set(call.id, { ...unknown, chargePico: 0n, reason: 'cost_cutoff' })
  }
  for (const row of workspace.rollups.values()) if (row.billingMonth === month) row.heldCalls = 0n
  workspace.closed = workspace.closed === null ? month : later(workspace.closed, month)
}
