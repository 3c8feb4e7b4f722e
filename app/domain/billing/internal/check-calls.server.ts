/** Every call behind an invoice rated again: its tier price by its price-book version, its charge by its mode. */
import { chargePico, creditPico, isTier, type PriceBook, tierPricePico } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { systemPool } from '#app/platform/db.server.ts'
import type { Finding } from '../proof.ts'

const pageSize = 10_000

const select = `
  SELECT id::text, dispatched_at::text, tier, charge_mode, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    raw_cost_pico, price_book_version, tier_price_pico, charge_pico, credit_pico, markup_bp, basis_pico, correction_reason
  FROM metering.calls_now
  WHERE workspace_id = $1 AND billing_month = $2::date AND dispatched_at < ($2::date + interval '1 month') AT TIME ZONE 'UTC'
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
  let last: Row | undefined
  for (;;) {
    const values = [workspaceId, monthToDate(month), last?.dispatched_at ?? null, last?.id ?? null]
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

/** The month's daily rollups against the same sums recounted from the calls: every row and column that differs. */
export async function checkRollups(workspaceId: string, month: CalendarMonth, most: number): Promise<Finding[]> {
  const where = 'workspace_id = $1 AND billing_month = $2::date'
  const { rows } = await systemPool().query<{
    reference: string
    expected: Record<string, string>
    actual: Record<string, string>
  }>(
    `SELECT concat_ws('/', to_char(day, 'YYYY-MM-DD'), provider, model, tier, key_source, surface, charge_mode, 'v' || price_book_version) AS reference,
       jsonb_build_object(${rollupSums.map((name) => `'${name}', coalesce(n.${name}, 0)::text`).join(', ')}) AS expected,
       jsonb_build_object(${rollupSums.map((name) => `'${name}', coalesce(r.${name}, 0)::text`).join(', ')}) AS actual
     FROM (SELECT * FROM metering.call_daily_recount WHERE ${where}) n
     FULL JOIN (SELECT * FROM metering.call_daily_rollups WHERE ${where}) r USING (${rollupKey.join(', ')})
     WHERE (${rollupSums.map((name) => `coalesce(n.${name}, 0)`).join(', ')}) IS DISTINCT FROM (${rollupSums.map((name) => `coalesce(r.${name}, 0)`).join(', ')})
     ORDER BY 1 LIMIT ${most}`,
    [workspaceId, monthToDate(month)],
  )
  return rows.flatMap(({ reference, expected, actual }) =>
    rollupSums
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
