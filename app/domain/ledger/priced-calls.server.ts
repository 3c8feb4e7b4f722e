import type { PricedCall } from '#app/domain/pricing/rate-again.ts'
import { systemPool } from '#app/platform/db.server.ts'
import type { Pico } from '#app/platform/pico.ts'

/** A settled call with what it was charged in the end, corrections included. */
export interface ChargedCall extends PricedCall {
  workspaceId: string
  id: string
  /** As the database writes it: it goes back as it came. */
  dispatchedAt: string
  priceBookVersion: number
  /** null: held. */
  chargePico: Pico | null
  creditPico: Pico
}

const pageSize = 10_000

const select = `
  SELECT c.workspace_id::text, c.id::text, c.dispatched_at::text, c.tier, c.charge_mode, c.input_tokens, c.output_tokens,
    c.cache_read_tokens, c.cache_write_tokens, coalesce(a.raw_cost_pico, c.raw_cost_pico), c.price_book_version,
    coalesce(a.charge_after_pico, c.charge_pico), c.credit_pico
  FROM metering.calls_now c
  LEFT JOIN LATERAL (SELECT x.raw_cost_pico, x.charge_after_pico FROM metering.call_adjustments x
    WHERE x.workspace_id = c.workspace_id AND x.call_id = c.id ORDER BY x.seq DESC LIMIT 1) a ON true
  WHERE c.workspace_id = $1::uuid AND c.dispatched_at >= $2::timestamptz AND c.dispatched_at < $3::timestamptz
    AND c.charge_mode IN ('tier', 'tier_margin', 'credits')
    AND ($4::timestamptz IS NULL OR (c.dispatched_at, c.id) > ($4::timestamptz, $5::uuid))
  ORDER BY c.dispatched_at, c.id LIMIT ${pageSize}`

type Cell = string | number | null
const big = (cell: Cell | undefined): bigint | null => (cell === null || cell === undefined ? null : BigInt(cell))

const toCall = (row: Cell[]): ChargedCall => ({
  workspaceId: row[0] as string,
  id: row[1] as string,
  dispatchedAt: row[2] as string,
  tier: row[3] as string,
  chargeMode: row[4] as string,
  inputTokens: big(row[5]),
  outputTokens: big(row[6]),
  cacheReadTokens: big(row[7]),
  cacheWriteTokens: big(row[8]),
  rawCostPico: big(row[9]),
  priceBookVersion: Number(row[10]),
  chargePico: big(row[11]),
  creditPico: big(row[12]) ?? 0n,
})

/** Workspaces with calls on days from `from` up to `to` (both included in whole UTC days), with how many. */
export async function workspacesWithCalls(from: Date, to: Date): Promise<{ workspaceId: string; calls: number }[]> {
  const { rows } = await systemPool().query<{ workspaceId: string; calls: number }>(
    `SELECT workspace_id::text AS "workspaceId", sum(calls)::float8 AS calls FROM metering.call_daily_rollups
      WHERE day >= ($1::timestamptz AT TIME ZONE 'UTC')::date AND day <= ($2::timestamptz AT TIME ZONE 'UTC')::date
        AND charge_mode IN ('tier', 'tier_margin', 'credits')
      GROUP BY workspace_id ORDER BY workspace_id`,
    [from, to],
  )
  return rows
}

/** Modes that a price book has a say in. */
const bookModes = ['tier', 'tier_margin', 'credits']

export interface OtherCalls {
  workspaceId: string
  calls: bigint
  /** On invoices, corrections of all kinds included. */
  chargePico: Pico
}

/** Calls dispatched in `[from, to)`, both the beginning of a UTC day, that no price book has a say in, by workspace. */
export async function otherCalls(from: Date, to: Date): Promise<OtherCalls[]> {
  const { rows } = await systemPool().query<{ workspace_id: string; calls: string; charge: string }>(
    `SELECT r.workspace_id::text, sum(r.calls)::text AS calls, (sum(r.charge_pico) + coalesce((
        SELECT sum(x.charge_after_pico - x.charge_before_pico) FROM metering.call_adjustments x
          JOIN metering.inference_calls c ON c.workspace_id = x.workspace_id AND c.dispatched_at = x.dispatched_at AND c.id = x.call_id
         WHERE x.workspace_id = r.workspace_id AND x.dispatched_at >= $1::timestamptz AND x.dispatched_at < $2::timestamptz
           AND c.charge_mode <> ALL ($3::text[])), 0))::text AS charge
      FROM metering.call_daily_rollups r
      WHERE r.day >= ($1::timestamptz AT TIME ZONE 'UTC')::date AND r.day < ($2::timestamptz AT TIME ZONE 'UTC')::date
        AND r.charge_mode <> ALL ($3::text[])
      GROUP BY r.workspace_id ORDER BY r.workspace_id`,
    [from, to, bookModes],
  )
  return rows.map(({ workspace_id, calls, charge }) => ({
    workspaceId: workspace_id,
    calls: BigInt(calls),
    chargePico: BigInt(charge),
  }))
}

/** A workspace's calls that price books have a say in, dispatched in `[from, to)`, in order, a page at a time. */
export async function* pricedCalls(workspaceId: string, from: Date, to: Date): AsyncGenerator<ChargedCall[]> {
  let last: ChargedCall | undefined
  for (;;) {
    const { rows } = await systemPool().query<Cell[]>({
      text: select,
      values: [workspaceId, from, to, last?.dispatchedAt ?? null, last?.id ?? null],
      rowMode: 'array',
    })
    const page = rows.map(toCall)
    if (page.length) yield page
    if (page.length < pageSize) return
    last = page.at(-1)
  }
}
