/** The single calls, events and corrections behind an invoice, each with the key of the line that it is in. */
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { callText } from './digests.server.ts'

export type EntryKind = 'call' | 'usage' | 'correction'

/** Integers as text. What an entry of its kind does not have is null. */
export interface Entry {
  kind: EntryKind
  lineKey: string
  id: string
  at: string
  /** Where the next page begins. */
  cursor: string
  what: string
  provider: string | null
  status: string | null
  tier: string | null
  keySource: string | null
  chargeMode: string | null
  inputTokens: string | null
  outputTokens: string | null
  cacheReadTokens: string | null
  cacheWriteTokens: string | null
  quantity: string | null
  unitUsd: string | null
  priceBookVersion: string
  rawCostPico: string | null
  tierPricePico: string | null
  basisPico: string | null
  markupBp: string | null
  creditPico: string | null
  beforePico: string | null
  /** What it puts onto the invoice; of a correction the difference, which may be negative. */
  chargePico: string
  /** The text that the day's hash is taken of; null where the entry is no call. */
  hashedText: string | null
}

const month = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM')`
const zulu = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

const columns: Record<EntryKind, { from: string; lineKey: string; at: string; id: string; rest: string }> = {
  call: {
    from: `metering.calls_now e`,
    lineKey: `${month('e.dispatched_at')} || '/' || e.charge_mode || '/' || e.tier || '/' || e.key_source
      || CASE e.charge_mode WHEN 'markup' THEN '/bp' || e.markup_bp ELSE '' END || '/v' || e.price_book_version`,
    at: 'e.dispatched_at',
    id: 'e.id',
    rest: `e.model AS what, e.provider, e.status, e.tier, e.key_source AS "keySource", e.charge_mode AS "chargeMode",
      e.input_tokens::text AS "inputTokens", e.output_tokens::text AS "outputTokens", e.cache_read_tokens::text AS "cacheReadTokens",
      e.cache_write_tokens::text AS "cacheWriteTokens", NULL AS quantity, NULL AS "unitUsd",
      e.price_book_version::text AS "priceBookVersion", e.raw_cost_pico::text AS "rawCostPico",
      e.tier_price_pico::text AS "tierPricePico", e.basis_pico::text AS "basisPico", e.markup_bp::text AS "markupBp",
      e.credit_pico::text AS "creditPico", NULL AS "beforePico", coalesce(e.charge_pico, 0)::text AS "chargePico",
      ${callText('e')} AS "hashedText"`,
  },
  usage: {
    from: 'metering.usage_events e',
    lineKey: `${month('e.occurred_at')} || '/usage/' || e.meter || '/v' || e.price_book_version`,
    at: 'e.occurred_at',
    id: 'e.id',
    rest: `e.meter AS what, NULL AS provider, NULL AS status, NULL AS tier, NULL AS "keySource", e.charge_mode AS "chargeMode",
      NULL AS "inputTokens", NULL AS "outputTokens", NULL AS "cacheReadTokens", NULL AS "cacheWriteTokens", e.quantity::text AS quantity,
      e.unit_usd::text AS "unitUsd", e.price_book_version::text AS "priceBookVersion", NULL AS "rawCostPico", NULL AS "tierPricePico",
      NULL AS "basisPico", NULL AS "markupBp", e.credit_pico::text AS "creditPico", e.amount_pico::text AS "beforePico",
      e.charge_pico::text AS "chargePico", NULL AS "hashedText"`,
  },
  correction: {
    from: 'metering.call_adjustments e',
    lineKey: `${month('e.dispatched_at')} || '/correction/' || e.reason || '/v' || e.price_book_version`,
    at: 'e.dispatched_at',
    id: 'e.call_id',
    rest: `e.reason AS what, NULL AS provider, NULL AS status, NULL AS tier, NULL AS "keySource", NULL AS "chargeMode",
      NULL AS "inputTokens", NULL AS "outputTokens", NULL AS "cacheReadTokens", NULL AS "cacheWriteTokens", NULL AS quantity,
      NULL AS "unitUsd", e.price_book_version::text AS "priceBookVersion", e.raw_cost_pico::text AS "rawCostPico",
      e.tier_price_pico::text AS "tierPricePico", e.basis_pico::text AS "basisPico", NULL AS "markupBp", NULL AS "creditPico",
      e.charge_before_pico::text AS "beforePico", (e.charge_after_pico - e.charge_before_pico)::text AS "chargePico",
      NULL AS "hashedText"`,
  },
}

/** An entry that corrects a call's cost and not its charge is on no invoice. */
const onInvoice: Partial<Record<EntryKind, string>> = {
  correction: 'AND e.charge_after_pico <> e.charge_before_pico',
}

export interface EntriesQuestion {
  workspaceId: string
  /** The month whose invoice carries them. */
  month: CalendarMonth
  kind: EntryKind
  /** Only entries of these lines, or of none of these (for the collapsed tail). */
  lines?: { keys: string[]; not?: boolean }
  /** Half-open, where it is known that all lie within. */
  within?: { from: Date; to: Date }
  after: string | null
  limit: number
}

/** A page of entries, oldest first. The caller has checked that the workspace may be read. */
export async function readEntries(question: EntriesQuestion): Promise<Entry[]> {
  const { from, lineKey, at, id, rest } = columns[question.kind]
  const [afterAt = null, afterId = null, afterSeq = '0'] = question.after?.split(' ') ?? []
  // A call can have been corrected twice in one month: its entries are told apart by their number.
  const corrections = question.kind === 'correction'
  const order = corrections ? `${at}, ${id}, e.seq` : `${at}, ${id}`
  const past = corrections ? '$7::timestamptz, $8::uuid, $9::integer' : '$7::timestamptz, $8::uuid'
  const { rows } = await systemPool().query<Entry>(
    `SELECT '${question.kind}' AS kind, ${lineKey} AS "lineKey", ${id}::text AS id, ${zulu(at)} AS at,
       ${zulu(at)} || ' ' || ${id}::text || ' ' || ${corrections ? 'e.seq' : '0'} AS cursor, ${rest}
     FROM ${from}
     WHERE e.workspace_id = $1::uuid AND e.billing_month = $2::date AND ${at} >= $3::timestamptz AND ${at} < $4::timestamptz
       ${onInvoice[question.kind] ?? ''}
       AND ($5::text[] IS NULL OR ((${lineKey}) = ANY ($5::text[])) = $6::boolean)
       AND ($7::timestamptz IS NULL OR (${order}) > (${past})) AND $9::integer >= 0
     ORDER BY ${order} LIMIT $10`,
    [
      question.workspaceId,
      monthToDate(question.month),
      question.within?.from ?? new Date(0),
      question.within?.to ?? new Date('9999-01-01T00:00:00Z'),
      question.lines?.keys ?? null,
      !question.lines?.not,
      afterAt,
      afterId,
      Number(afterSeq),
      question.limit,
    ],
  )
  return rows
}
