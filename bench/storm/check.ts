import type pg from 'pg'
import { verifyAnyInvoice } from '#app/domain/billing/verify-invoice.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import { commandLineOperator } from '#scripts/operator.ts'
import type { JournalLine } from '#test/sandbox/openrouter/journal.ts'
import { budgets } from './changes.ts'
import { eventPico, type Traffic } from './traffic.ts'

/** A comparison: what it is about, how many were compared, and how many of them differ. */
export type Finding = [what: string, compared: number, different: number]

// biome-ignore lint/suspicious/noExplicitAny: rows of many shapes, compared by name
type Row = Record<string, any>

/** Every answer that a caller saw against its row of the ledger. */
function answersInLedger({ answers }: Traffic, byId: Map<string, Row>): Finding[] {
  const whole = answers.filter((answer) => answer.whole)
  const missing = answers.filter(({ callId }) => !byId.has(callId))
  const unlike = answers.filter(({ callId, workspace, whole: isWhole, keySource, chargeMode, ...tokens }) => {
    const row = byId.get(callId)
    if (!row) return false
    if (row.slug !== workspace || row.key_source !== keySource || row.charge_mode !== chargeMode) return true
    if (!isWhole) return false
    const same = (told: number | null, kept: unknown) => told === null || Number(kept) === told
    return (
      row.status !== 'ok' ||
      !same(tokens.inputTokens, row.input_tokens) ||
      !same(tokens.outputTokens, row.output_tokens)
    )
  })
  return [
    ['answers that are in no ledger', answers.length, missing.length],
    ['answers with another workspace, key, mode, end or usage there', whole.length, unlike.length],
  ]
}

/** What OpenRouter's sandbox charged against the raw cost of the call it was charged for. */
function costsInLedger(journal: JournalLine[], rows: Row[], byId: Map<string, Row>): Finding[] {
  const byGeneration = Map.groupBy(rows, (row) => row.upstream_id as string | null)
  const charged = journal.filter(({ generation, cost }) => generation !== null && cost !== null)
  const kept = ({ generation, headers }: JournalLine): Row[] => {
    const found = byGeneration.get(generation)
    const killed = byId.get(headers['x-request-id'] ?? '') // before the id of its reply was known: an estimate, by its own id
    return found ?? (killed ? [killed] : [])
  }
  const lost = charged.filter((line) => kept(line).length === 0)
  const doubled = charged.filter((line) => kept(line).length > 1)
  const other = charged.filter((line) => {
    const [row] = kept(line)
    return row && row.raw_cost_pico !== null && BigInt(row.raw_cost_pico) !== parsePico(line.cost as string)
  })
  return [
    ['calls that a provider charged: not in the ledger', charged.length, lost.length],
    ['… in it twice', charged.length, doubled.length],
    ['… at another cost', charged.length, other.length],
  ]
}

async function sums(owner: pg.Client, events: Set<string>): Promise<Finding[]> {
  const one = async (sql: string, values: unknown[] = []) => (await owner.query(sql, values)).rows[0] as Row
  const totals = 'sum(raw_cost_pico)::text raw, sum(charge_pico)::text charge, sum(credit_pico)::text credit'
  const calls = await one(`SELECT count(*)::int n, ${totals} FROM metering.calls_now`)
  const rolled = await one(`SELECT sum(calls)::int n, ${totals} FROM metering.call_daily_rollups`)
  const wrong = await one(`SELECT count(*)::int n, count(*) FILTER (WHERE CASE charge_mode
      WHEN 'tier' THEN charge_pico IS DISTINCT FROM tier_price_pico
      WHEN 'tier_margin' THEN charge_pico IS DISTINCT FROM greatest(0, tier_price_pico - raw_cost_pico) END)::int wrong
    FROM metering.inference_calls WHERE raw_cost_pico IS NOT NULL OR charge_mode = 'tier'`)
  const taken = await one(
    'SELECT count(*)::int n, coalesce(sum(amount_pico), 0)::text amount FROM metering.usage_events WHERE event_id = ANY($1)',
    [[...events]],
  )
  const eventsDiffer = taken.n !== events.size || BigInt(taken.amount) !== BigInt(events.size) * eventPico
  const left = await one(`SELECT (SELECT count(*) FROM metering.attempts)::int attempts,
    (SELECT count(*) FROM metering.budget_reservations)::int + (SELECT count(*) FROM metering.credit_holds)::int held`)
  const differs = (['n', 'raw', 'charge', 'credit'] as const).filter((name) => calls[name] !== rolled[name])
  return [
    ['sums of the calls against their rollups', calls.n, differs.length],
    ['tier prices and margins by the rule', wrong.n, wrong.wrong],
    ['usage events acknowledged, kept once, at their price', events.size, Number(eventsDiffer)],
    ['attempts left open, room and credits left set aside', 0, left.attempts + left.held],
  ]
}

async function overBudget(owner: pg.Client): Promise<Finding> {
  const hard = budgets.filter((budget) => budget.hard)
  const { rows } = await owner.query(
    `SELECT w.slug, s.spent_pico::text spent FROM metering.budget_spend s JOIN workspaces w ON w.id = s.workspace_id`,
  )
  const over = rows.filter(({ slug, spent }) => {
    const budget = hard.find((one) => one.slug === slug)
    return budget !== undefined && BigInt(spent) > (parsePico(budget.limit) ?? 0n)
  })
  return ['hard budgets, passed by calls at once', hard.length, over.length]
}

/** Every invoice: recomputed from its calls by the product and compared with Stripe, and its lines by a sum of our own. */
async function invoices(owner: pg.Client): Promise<Finding[]> {
  const { rows } = await owner.query<Row>(
    `SELECT r.id, (SELECT coalesce(sum(exact_pico), 0) FROM invoice_lines l
          WHERE l.workspace_id = r.workspace_id AND l.run_id = r.id AND l.kind IN ('calls', 'usage', 'correction'))
        = (SELECT coalesce(sum(charge_pico), 0) FROM metering.calls_now c
          WHERE c.workspace_id = r.workspace_id AND to_char(c.billing_month, 'YYYY-MM') = r.month)
        + (SELECT coalesce(sum(charge_pico), 0) FROM metering.usage_events e
          WHERE e.workspace_id = r.workspace_id AND to_char(e.billing_month, 'YYYY-MM') = r.month) AS same
     FROM invoice_runs r WHERE r.kind = 'ai_usage'`,
  )
  let unlike = 0
  for (const { id } of rows) if (!(await verifyAnyInvoice(commandLineOperator(), id)).equal) unlike += 1
  const { rows: twice } = await owner.query(
    'SELECT FROM invoice_runs GROUP BY workspace_id, month, kind HAVING count(*) > 1',
  )
  return [
    ['invoices, recomputed from their calls and compared with Stripe', rows.length, unlike],
    ['… their lines against the sum of their calls and events', rows.length, rows.filter(({ same }) => !same).length],
    ['months invoiced twice', rows.length, twice.length],
  ]
}

/** Everything that must hold, whatever was killed: each comparison with how many differ. */
export async function findings(owner: pg.Client, traffic: Traffic, journal: JournalLine[]): Promise<Finding[]> {
  const { rows } = await owner.query<Row>(
    `SELECT c.*, w.slug FROM metering.inference_calls c JOIN workspaces w ON w.id = c.workspace_id WHERE origin <> 'import'`,
  )
  const byId = new Map(rows.map((row) => [row.id as string, row]))
  return [
    ...answersInLedger(traffic, byId),
    ...costsInLedger(journal, rows, byId),
    ...(await sums(owner, traffic.events)),
    await overBudget(owner),
    ...(await invoices(owner)),
  ]
}
