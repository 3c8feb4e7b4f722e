/**
 * What stands behind an invoice, hashed day by day (stripe §4 case 78). A day's hash is the SHA-256 over the SHA-256 of every
 * entry's text, in order of time and id; the run's hash is the SHA-256 over its days. A hash only says that something differs, so
 * each day also keeps three sums per column: of 40-bit hashes h of the column's values (and ids), and of h × w1 and h × w2, w1 and w2 being 20
 * bits each of the call's id. Where one call was changed, the differences of the sums are (d, d·w1, d·w2), and so name it, without
 * a copy of any call being kept.
 */
import { createHash } from 'node:crypto'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { systemPool } from '#app/platform/db.server.ts'

export type DigestKind = 'calls' | 'usage' | 'corrections'
export type DaySums = Record<string, [string, string, string]>

export interface DayDigest {
  kind: DigestKind
  /** `YYYY-MM-DD`, UTC: of dispatch, or of the usage. */
  day: string
  entries: string
  hash: string
  sums: DaySums
}

const text = (column: string) => `coalesce(${column}::text, '')`

/**
 * One line of text per call, in a fixed order of fields joined by U+001F, null as nothing: what the hash is taken of, and what the
 * export says, so that an auditor can take it again. `c` names a row of metering.calls_now.
 */
export const callText = (c: string): string => {
  const fields = [
    ...[
      'origin',
      'surface',
      'provider',
      'model',
      'tier',
      'key_source',
      'key_id',
      'key_version',
      'status',
      'input_tokens',
    ],
    ...[
      'output_tokens',
      'cache_read_tokens',
      'cache_write_tokens',
      'reasoning_tokens',
      'usage_source',
      'raw_cost_pico',
    ],
    ...[
      'cost_source',
      'price_book_version',
      'tier_price_pico',
      'charge_mode',
      'markup_bp',
      'basis_pico',
      'credit_pico',
    ],
    ...['charge_pico', 'correction_reason'],
  ]
  const ms = `(extract(epoch FROM ${c}.dispatched_at) * 1000)::bigint`
  return `concat_ws(E'\\x1f', ${c}.id, ${ms}, ${fields.map((name) => text(`${c}.${name}`)).join(', ')})`
}

/** The columns a changed call is looked for in; the rest is told by the hash alone. */
const watchedColumns: Record<string, string> = {
  input_tokens: 'c.input_tokens::text',
  output_tokens: 'c.output_tokens::text',
  cache_tokens: "concat_ws('/', c.cache_read_tokens, c.cache_write_tokens)",
  raw_cost_pico: 'c.raw_cost_pico::text',
  tier_price_pico: 'c.tier_price_pico::text',
  charge_pico: 'c.charge_pico::text',
  credit_pico: 'c.credit_pico::text',
  charge_terms: "concat_ws('/', c.charge_mode, c.markup_bp, c.basis_pico, c.price_book_version)",
  model: "concat_ws('/', c.provider, c.model, c.tier)",
  key: "concat_ws('/', c.key_source, c.key_id, c.key_version)",
}
const watched = Object.keys(watchedColumns)

/** 20 bits each of the random end of a call's id. */
const firstWeight = `('x' || right(c.id::text, 5))::bit(20)::int`
const secondWeight = `('x' || substr(c.id::text, 27, 5))::bit(20)::int`

const sumsOf = watched
  .map(
    (name) =>
      `'${name}', jsonb_build_array(sum(h_${name})::text, sum(h_${name} * w1)::text, sum(h_${name} * w2)::text)`,
  )
  .join(', ')

const inOrder = (text: string, order: string) =>
  `encode(sha256(string_agg(sha256(convert_to(${text}, 'UTF8')), ''::bytea ORDER BY ${order})), 'hex')`

const selectDays = `
  SELECT DISTINCT to_char(day, 'YYYY-MM-DD') AS day FROM metering.call_daily_rollups WHERE workspace_id = $1 AND billing_month = $2::date
  UNION SELECT DISTINCT to_char(d, 'YYYY-MM-DD') FROM generate_series($2::date, ($2::date + interval '1 month - 1 day'), interval '1 day') d
  UNION SELECT DISTINCT to_char((dispatched_at AT TIME ZONE 'UTC')::date, 'YYYY-MM-DD') FROM metering.inference_calls
    WHERE workspace_id = $1 AND billing_month = $2::date AND billing_month <> date_trunc('month', dispatched_at AT TIME ZONE 'UTC')::date
  ORDER BY day`

// Step by step (OFFSET 0): each weight and each hash is taken once per call, not once per sum that it is in. The hash is of the value
// and the id: two calls that are changed alike must not look like one in their middle.
const digestOfDay = `
  SELECT count(*)::text AS entries, ${inOrder('b.line', 'b.dispatched_at, b.id')} AS hash, jsonb_build_object(${sumsOf}) AS sums
  FROM (
    SELECT a.dispatched_at, a.id, a.line, a.w1, a.w2,
      ${watched.map((name) => `hashtextextended(coalesce(a.v_${name}, '-'), a.seed) & 1099511627775 AS h_${name}`).join(',\n      ')}
    FROM (
      SELECT c.dispatched_at, c.id, ${callText('c')} AS line, c.w1, c.w2, c.w1::bigint * 1048576 + c.w2 AS seed,
        ${watched.map((name) => `${watchedColumns[name]} AS v_${name}`).join(', ')}
      FROM (
        SELECT c.*, ${firstWeight} AS w1, ${secondWeight} AS w2 FROM metering.calls_now c
        WHERE c.workspace_id = $1 AND c.billing_month = $2::date
          AND c.dispatched_at >= $3::date::timestamp AT TIME ZONE 'UTC' AND c.dispatched_at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
        OFFSET 0
      ) c
      OFFSET 0
    ) a
    OFFSET 0
  ) b`

const digestsOfUsage = `
  SELECT 'usage' AS kind, to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count(*)::text AS entries,
    ${inOrder(
      `concat_ws(E'\\x1f', id::text, source, event_id, meter, quantity::text, (extract(epoch FROM occurred_at) * 1000)::bigint::text,
      price_book_version::text, unit_usd::text, amount_pico::text, charge_mode, credit_pico::text, charge_pico::text)`,
      'occurred_at, id',
    )} AS hash, '{}'::jsonb AS sums
  FROM metering.usage_events WHERE workspace_id = $1 AND billing_month = $2::date GROUP BY 2 ORDER BY 2`

// What corrects a cost and no charge is not behind an invoice.
const digestsOfCorrections = `
  SELECT 'corrections' AS kind, to_char(dispatched_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count(*)::text AS entries,
    ${inOrder(
      `concat_ws(E'\\x1f', call_id::text, seq::text, (extract(epoch FROM dispatched_at) * 1000)::bigint::text, reason, reference,
      price_book_version::text, coalesce(raw_cost_pico::text, ''), coalesce(tier_price_pico::text, ''), coalesce(basis_pico::text, ''),
      charge_before_pico::text, charge_after_pico::text)`,
      'dispatched_at, call_id, seq',
    )} AS hash, '{}'::jsonb AS sums
  FROM metering.call_adjustments
  WHERE workspace_id = $1 AND billing_month = $2::date AND charge_after_pico <> charge_before_pico GROUP BY 2 ORDER BY 2`

/** UTC days that calls of a billing month can be of: its own, and earlier ones of late calls; `YYYY-MM-DD`, in order. */
export async function daysOfCalls(workspaceId: string, month: CalendarMonth): Promise<string[]> {
  const { rows } = await systemPool().query<{ day: string }>(selectDays, [workspaceId, monthToDate(month)])
  return rows.map((row) => row.day)
}

/** The digests of a billing month as its tables stand now: calls a day at a time, so that memory holds a day at most. */
export async function takeDigests(workspaceId: string, month: CalendarMonth): Promise<DayDigest[]> {
  const pool = systemPool()
  const where = [workspaceId, monthToDate(month)]
  const digests: DayDigest[] = []
  for (const day of await daysOfCalls(workspaceId, month)) {
    const { rows } = await pool.query<Omit<DayDigest, 'kind' | 'day'>>(digestOfDay, [...where, day])
    const [found] = rows
    if (found && found.entries !== '0') digests.push({ kind: 'calls', day, ...found })
  }
  for (const text of [digestsOfCorrections, digestsOfUsage])
    digests.push(...(await pool.query<DayDigest>(text, where)).rows)
  return digests
}

/** One hash over all days: what stands in the run and in Stripe's metadata. */
export function hashDigests(digests: Pick<DayDigest, 'kind' | 'day' | 'entries' | 'hash'>[]): string {
  const rows = digests.map(({ kind, day, entries, hash }) => [kind, day, entries, hash].join('|')).sort()
  return createHash('sha256').update(rows.join('\n')).digest('hex')
}

/** The calls of a day whose id has these 40 bits. */
export async function findByWeights(
  workspaceId: string,
  day: string,
  [first, second]: [bigint, bigint],
): Promise<string[]> {
  const { rows } = await systemPool().query<{ id: string }>(
    `SELECT c.id::text FROM metering.inference_calls c
      WHERE c.workspace_id = $1 AND c.dispatched_at >= $2::date::timestamp AT TIME ZONE 'UTC'
        AND c.dispatched_at < ($2::date + 1)::timestamp AT TIME ZONE 'UTC' AND ${firstWeight} = $3 AND ${secondWeight} = $4`,
    [workspaceId, day, Number(first), Number(second)],
  )
  return rows.map((row) => row.id)
}
