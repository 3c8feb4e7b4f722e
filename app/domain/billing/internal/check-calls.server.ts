/** Every call behind an invoice rated again: its tier price by its price-book version, its charge by its mode. */
import { chargePico, creditPico, isTier, type PriceBook, tierPricePico } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { systemPool } from '#app/platform/db.server.ts'
import type { Finding } from '../proof.ts'
import { daysOfCalls } from './digests.server.ts'

const pageSize = 10_000

const select = `
  SELECT id::text, dispatched_at::text, tier, charge_mode, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    raw_cost_pico, price_book_version, tier_price_pico, charge_pico, credit_pico, markup_bp, basis_pico, correction_reason
  FROM metering.calls_now
  WHERE workspace_id = $1 AND billing_month = $2::date AND dispatched_at < ($2::date + interval '1 month') AT TIME ZONE 'UTC'
    AND dispatched_at >= $5::date::timestamp AT TIME ZONE 'UTC'
    AND ($3::timestamptz IS NULL OR (dispatched_at, id) > ($3::timestamptz, $4::uuid))
  ORDER BY dispatched_at, id LIMIT ${pageSize}`

interface Row {
  id: string
  dispatched_at: string
  tier: string
  charge_mode: string
  input_tokens: string | null
  output_tokens: string | null
  cache_read_tokens: string | null
  cache_write_tokens: string | null
  raw_cost_pico: string | null
  price_book_version: number
  tier_price_pico: string | null
  charge_pico: string | null
  credit_pico: string
  markup_bp: number | null
  basis_pico: string | null
  correction_reason: string | null
}

const big = (text: string | null): bigint | null => (text === null ? null : BigInt(text))
const words = (amount: bigint | null): string => amount?.toString() ?? 'nothing'

const differs = (row: Row, column: string, expected: bigint | null, actual: bigint | null): Finding[] =>
  expected === actual
    ? []
    : [{ what: 'call', reference: row.id, column, expected: words(expected), actual: words(actual) }]

/** What a call's own numbers say it should have cost. Of a version that no longer exists nothing can be said. */
function check(row: Row, books: Map<number, PriceBook>): Finding[] {
  const book = books.get(row.price_book_version)
  const tokens = {
    inputTokens: big(row.input_tokens) ?? 0n,
    outputTokens: big(row.output_tokens) ?? 0n,
    cacheReadTokens: big(row.cache_read_tokens),
    cacheWriteTokens: big(row.cache_write_tokens),
  }
  const stored = big(row.tier_price_pico)
  const priced = book && isTier(row.tier) && book.tiers[row.tier] ? tierPricePico(book, row.tier, tokens) : stored
  const charge = {
    chargeMode: row.charge_mode as 'tier',
    tierPricePico: stored,
    rawCostPico: big(row.raw_cost_pico),
    basisPico: big(row.basis_pico),
    markupBp: row.markup_bp,
  }
  const cutOff = row.correction_reason === 'cost_cutoff'
  return [
    ...differs(row, 'tier_price_pico', priced, stored),
    ...differs(row, 'charge_pico', cutOff ? 0n : chargePico(charge), big(row.charge_pico)),
    ...differs(row, 'credit_pico', creditPico(charge), big(row.credit_pico)),
  ]
}

/** @returns at most `most` findings; pages of calls are read in order, one at a time in memory */
export async function checkCalls(workspaceId: string, month: CalendarMonth, most: number): Promise<Finding[]> {
  const { books } = await loadCatalogue()
  const byVersion = new Map(books.map((book) => [book.version, book]))
  const findings: Finding[] = []
  // Without it every earlier call of the workspace was looked at for the first page.
  const [firstDay] = await daysOfCalls(workspaceId, month)
  let last: Row | undefined
  for (;;) {
    const values = [workspaceId, monthToDate(month), last?.dispatched_at ?? null, last?.id ?? null, firstDay]
    const { rows } = await systemPool().query<Row>(select, values)
    for (const row of rows) findings.push(...check(row, byVersion))
    if (rows.length < pageSize || findings.length >= most) return findings.slice(0, most)
    last = rows.at(-1)
  }
}

const rollupKey = [
  ...[
    'workspace_id',
    'day',
    'billing_month',
    'model',
    'tier',
    'key_source',
    'surface',
    'charge_mode',
    'price_book_version',
  ],
  ...['provider', 'markup_bp'],
]
const rollupSums = [
  ...[
    'calls',
    'held_calls',
    'input_tokens',
    'output_tokens',
    'raw_cost_pico',
    'tier_price_pico',
    'charge_pico',
    'basis_pico',
  ],
  'credit_pico',
]

/** Calls that one statement recounts: seconds, not minutes, whatever a workspace makes in a month. A single day is never divided. */
const CALLS_AT_ONCE = 250_000

/** UTC days, both inclusive. */
interface Stretch {
  from: string
  to: string
}

const nextDay = (day: string): string => new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10)

/** Neighbouring days together, as long as their calls stay within `most`. `days` in order. Pure. */
export function toStretches(days: { day: string; calls: number }[], most: number): Stretch[] {
  const stretches: (Stretch & { calls: number })[] = []
  for (const { day, calls } of days) {
    const last = stretches.at(-1)
    if (last && nextDay(last.to) === day && last.calls + calls <= most)
      Object.assign(last, { to: day, calls: last.calls + calls })
    else stretches.push({ from: day, to: day, calls })
  }
  return stretches.map(({ from, to }) => ({ from, to }))
}

async function stretchesOf(workspaceId: string, month: CalendarMonth, most: number): Promise<Stretch[]> {
  const { rows } = await systemPool().query<{ day: string; calls: number }>(
    `SELECT to_char(day, 'YYYY-MM-DD') AS day, sum(calls)::float8 AS calls FROM metering.call_daily_rollups
     WHERE workspace_id = $1 AND billing_month = $2::date GROUP BY day`,
    [workspaceId, monthToDate(month)],
  )
  const counts = new Map(rows.map(({ day, calls }) => [day, calls]))
  const days = await daysOfCalls(workspaceId, month)
  return toStretches(
    days.map((day) => ({ day, calls: counts.get(day) ?? 0 })),
    most,
  )
}

/** What was corrected of costs after their calls were settled: a rollup keeps it beside them. */
const correctedCost = 'cost_corrected_pico'
const comparedSums = [...rollupSums, correctedCost]

const sumsOf = rollupSums
  .filter((name) => name !== 'calls' && name !== 'held_calls')
  .map((name) => `coalesce(sum(${name}), 0) AS ${name}`)
const each = (table: string) => comparedSums.map((name) => `coalesce(${table}.${name}, 0)`).join(', ')
const asJson = (table: string) =>
  `jsonb_build_object(${comparedSums.map((name) => `'${name}', coalesce(${table}.${name}, 0)::text`).join(', ')})`

// metering.call_daily_recount counts by a day that is worked out of the time: asked for some days it would count all of them.
const compareStretch = `
  WITH n AS (
    SELECT workspace_id, (dispatched_at AT TIME ZONE 'UTC')::date AS day, billing_month, model, tier, key_source, surface, charge_mode,
      price_book_version, provider, coalesce(markup_bp, 0) AS markup_bp, count(*) AS calls,
      count(*) FILTER (WHERE charge_pico IS NULL) AS held_calls, ${sumsOf.join(', ')},
      coalesce(sum(x.change), 0) AS ${correctedCost}
    FROM metering.calls_now
    LEFT JOIN (
      SELECT call_id, sum(cost_change_pico) AS change FROM metering.call_adjustments
      WHERE workspace_id = $1 AND corrects_cost
        AND dispatched_at >= $3::date::timestamp AT TIME ZONE 'UTC' AND dispatched_at < ($4::date + 1)::timestamp AT TIME ZONE 'UTC'
      GROUP BY call_id) x ON x.call_id = id
    WHERE workspace_id = $1 AND billing_month = $2::date
      AND dispatched_at >= $3::date::timestamp AT TIME ZONE 'UTC' AND dispatched_at < ($4::date + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
  ), r AS (
    SELECT * FROM metering.call_daily_rollups
    WHERE workspace_id = $1 AND billing_month = $2::date AND day BETWEEN $3::date AND $4::date
  )
  SELECT concat_ws('/', to_char(day, 'YYYY-MM-DD'), provider, model, tier, key_source, surface, charge_mode, 'v' || price_book_version) AS reference,
    ${asJson('n')} AS expected, ${asJson('r')} AS actual
  FROM n FULL JOIN r USING (${rollupKey.join(', ')})
  WHERE (${each('n')}) IS DISTINCT FROM (${each('r')})
  ORDER BY 1 LIMIT $5`

interface RollupRow {
  reference: string
  expected: Record<string, string>
  actual: Record<string, string>
}

/**
 * The month's daily rollups against the same sums recounted from the calls: rows that differ, in every column that does; at most
 * `most` rows. Some days at a time, each in one statement: calls that are recorded meanwhile are in both sides or in neither.
 */
export async function checkRollups(
  workspaceId: string,
  month: CalendarMonth,
  most: number,
  callsAtOnce: number = CALLS_AT_ONCE,
): Promise<Finding[]> {
  const rows: RollupRow[] = []
  for (const { from, to } of await stretchesOf(workspaceId, month, callsAtOnce)) {
    const values = [workspaceId, monthToDate(month), from, to, most - rows.length]
    rows.push(...(await systemPool().query<RollupRow>(compareStretch, values)).rows)
    if (rows.length >= most) break
  }
  return rows.flatMap(({ reference, expected, actual }) =>
    comparedSums
      .filter((column) => expected[column] !== actual[column])
      .map(
        (column): Finding => ({
          what: 'rollup',
          reference,
          column,
          expected: expected[column] ?? '',
          actual: actual[column] ?? '',
        }),
      ),
  )
}

const chargesOfStretch = `
  SELECT ((SELECT coalesce(sum(charge_pico), 0) FROM metering.call_daily_rollups
      WHERE workspace_id = $1 AND billing_month = $2::date AND day BETWEEN $3::date AND $4::date)
    - (SELECT coalesce(sum(charge_pico), 0) FROM metering.calls_now WHERE workspace_id = $1 AND billing_month = $2::date
      AND dispatched_at >= $3::date::timestamp AT TIME ZONE 'UTC'
      AND dispatched_at < ($4::date + 1)::timestamp AT TIME ZONE 'UTC'))::text AS apart`

/** By how much a month's daily charges are more than those of its calls, whatever number of rows differs. */
export async function chargesApart(workspaceId: string, month: CalendarMonth): Promise<bigint> {
  let apart = 0n
  for (const { from, to } of await stretchesOf(workspaceId, month, CALLS_AT_ONCE)) {
    const values = [workspaceId, monthToDate(month), from, to]
    const { rows } = await systemPool().query<{ apart: string }>(chargesOfStretch, values)
    apart += BigInt(rows[0]?.apart ?? 0)
  }
  return apart
}
