/** Costs in the ledger against what providers say of them. */
import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { displayExact } from '#app/domain/pricing/currency.ts'
import { isProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { idTime } from '#app/platform/ids.ts'
import type { Comparison } from './comparison.server.ts'

/** A provider's report and our sum of a day may differ by a hundredth and a cent: calls at midnight, roundings of theirs. */
const toleranceShare = 100n
const toleranceFloor = 10_000_000_000n
/** Calls that the provider is asked about again, per night. */
const spotChecks = 20
const DAY_MS = 86_400_000

/** What providers say of costs is in USD. */
const usd = (amount: bigint): string => displayExact(amount, 'usd')
const nameOf = (provider: string): string => (isProviderId(provider) ? providerOf(provider).name : provider)
const size = (amount: bigint): bigint => (amount < 0n ? -amount : amount)

interface ReportedDay {
  provider: string
  account: string
  day: string
  reported: string
  counted: string
}

/**
 * Reports by account and day with what the ledger has, in one pass over each: the platform's account from the daily sums, which are
 * recounted beside this; keys from the calls of their workspaces; and what was entered of both since. A report is looked at again
 * while its difference is open.
 */
const reportedDays = `WITH report AS (
    SELECT r.provider, r.account, r.day, sum(r.cost_pico) AS reported FROM provider_usage_reports r
     WHERE r.day >= $1::date OR r.provider || ' ' || r.account || ' ' || to_char(r.day, 'YYYY-MM-DD') = ANY ($2::text[])
     GROUP BY r.provider, r.account, r.day
  ), keys AS (
    SELECT DISTINCT p.workspace_id, p.key_id, a.first_day, a.last_day
      FROM (SELECT account, min(day) AS first_day, max(day) AS last_day FROM report WHERE account <> 'platform' GROUP BY account) a
      JOIN provider_key_periods p ON p.key_id = a.account::uuid
  ), entered AS (
    SELECT DISTINCT ON (x.workspace_id, x.call_id) x.workspace_id, x.call_id, x.dispatched_at, x.raw_cost_pico
      FROM metering.call_adjustments x
     WHERE x.dispatched_at >= (SELECT min(day) FROM report)::timestamp AT TIME ZONE 'UTC'
       AND x.dispatched_at < ((SELECT max(day) FROM report) + 1)::timestamp AT TIME ZONE 'UTC' AND x.raw_cost_pico IS NOT NULL
     ORDER BY x.workspace_id, x.call_id, x.seq DESC
  ), parts AS (
    SELECT u.provider, 'platform' AS account, u.day, sum(u.raw_cost_pico) AS counted FROM metering.call_daily_rollups u
     WHERE u.key_source = 'platform' AND u.day >= (SELECT min(day) FROM report) AND u.day <= (SELECT max(day) FROM report)
     GROUP BY u.provider, u.day
    UNION ALL
    SELECT c.provider, k.key_id::text, (c.dispatched_at AT TIME ZONE 'UTC')::date, sum(c.raw_cost_pico)
      FROM keys k JOIN metering.calls_now c ON c.workspace_id = k.workspace_id AND c.key_id = k.key_id
       AND c.dispatched_at >= k.first_day::timestamp AT TIME ZONE 'UTC' AND c.dispatched_at < (k.last_day + 1)::timestamp AT TIME ZONE 'UTC'
     WHERE c.dispatched_at >= (SELECT min(first_day) FROM keys)::timestamp AT TIME ZONE 'UTC'
       AND c.dispatched_at < (SELECT max(last_day) + 1 FROM keys)::timestamp AT TIME ZONE 'UTC'
     GROUP BY 1, 2, 3
    UNION ALL
    SELECT c.provider, CASE c.key_source WHEN 'platform' THEN 'platform' ELSE c.key_id::text END,
        (c.dispatched_at AT TIME ZONE 'UTC')::date, e.raw_cost_pico - coalesce(c.raw_cost_pico, 0)
      FROM entered e
      JOIN metering.calls_now c ON c.workspace_id = e.workspace_id AND c.dispatched_at = e.dispatched_at AND c.id = e.call_id
  ), counted AS (
    SELECT p.provider, p.account, p.day, sum(p.counted) AS counted FROM parts p GROUP BY p.provider, p.account, p.day
  )
  SELECT r.provider, r.account, to_char(r.day, 'YYYY-MM-DD') AS day, r.reported::text, coalesce(c.counted, 0)::text AS counted
    FROM report r LEFT JOIN counted c USING (provider, account, day) ORDER BY 1, 2, 3`

/** Calls without a known cost on days that differ: they may be what is missing. */
const unknownCosts = `SELECT c.provider || ' ' || CASE c.key_source WHEN 'platform' THEN 'platform' ELSE c.key_id::text END
      || ' ' || to_char(c.dispatched_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS reference, count(*)::text AS calls
    FROM metering.calls_now c
   WHERE c.raw_cost_pico IS NULL AND NOT EXISTS (SELECT FROM metering.call_adjustments x
       WHERE x.workspace_id = c.workspace_id AND x.call_id = c.id AND x.raw_cost_pico IS NOT NULL)
     AND c.dispatched_at >= $1::date::timestamp AT TIME ZONE 'UTC'
     AND c.dispatched_at < ($2::date + 1)::timestamp AT TIME ZONE 'UTC' GROUP BY 1`

const referenceOf = ({ provider, account, day }: ReportedDay): string => `${provider} ${account} ${day}`

const isNear = ({ reported, counted }: ReportedDay): boolean =>
  size(BigInt(counted) - BigInt(reported)) <= toleranceFloor + BigInt(reported) / toleranceShare

/** What providers say that their accounts cost, by day, against the raw costs of the calls that went out under them. */
export async function* compareReports(from: Date, open: string[]): AsyncGenerator<Comparison> {
  const { rows } = await systemPool().query<ReportedDay>(reportedDays, [from, open])
  const unknown = await countUnknown(rows.filter((row) => !isNear(row)).map(({ day }) => day))
  for (const row of rows) {
    const { provider, account, day, reported, counted } = row
    const missing = unknown.get(referenceOf(row))
    yield {
      reference: referenceOf(row),
      workspaceId: null,
      expected: `${usd(BigInt(reported))} reported by ${nameOf(provider)} for ${day}${account === 'platform' ? '' : `, account of key ${account}`}`,
      actual: `${usd(BigInt(counted))} in the ledger${missing ? `, ${missing} ${missing === '1' ? 'call' : 'calls'} without a known cost` : ''}`,
      moneyPico: BigInt(counted) - BigInt(reported),
      equal: isNear(row),
    }
  }
}

async function countUnknown(days: string[]): Promise<Map<string, string>> {
  if (days.length === 0) return new Map()
  const sorted = days.toSorted()
  const { rows } = await systemPool().query<{ reference: string; calls: string }>(unknownCosts, [
    sorted[0],
    sorted.at(-1),
  ])
  return new Map(rows.map(({ reference, calls }) => [reference, calls]))
}

interface Spot {
  workspaceId: string
  id: string
  keySource: 'platform' | 'workspace'
  keyId: string | null
  keyVersion: number | null
  upstreamId: string
  rawCostPico: string
}

/** A cost that was entered by hand since, of the call `c`. */
const enteredCost = `LEFT JOIN LATERAL (SELECT x.raw_cost_pico FROM metering.call_adjustments x
       WHERE x.workspace_id = c.workspace_id AND x.call_id = c.id ORDER BY x.seq DESC LIMIT 1) a ON true`

const spotColumns = `c.workspace_id::text AS "workspaceId", c.id::text, c.key_source AS "keySource", c.key_id::text AS "keyId",
  c.key_version AS "keyVersion", c.upstream_id AS "upstreamId"`

/**
 * Some calls of the last two days whose cost the provider told with the reply, asked about again, and every call whose difference
 * is open. A cost that was entered by hand meanwhile counts.
 */
export async function* checkSpots(
  readGeneration: GenerationReader,
  now: Date,
  open: string[],
): AsyncGenerator<Comparison> {
  const { rows: drawn } = await systemPool().query<Spot>(
    `SELECT ${spotColumns}, coalesce(a.raw_cost_pico, c.raw_cost_pico)::text AS "rawCostPico"
     FROM (SELECT * FROM metering.inference_calls c WHERE c.dispatched_at > $1 AND c.provider = 'openrouter' AND c.upstream_id IS NOT NULL
       AND c.cost_source = 'provider' AND NOT c.cost_clamped AND c.id <> ALL ($3::uuid[]) ORDER BY md5(c.id::text || $2) LIMIT ${spotChecks}) c
     ${enteredCost}`,
    [new Date(now.getTime() - 2 * DAY_MS), now.toISOString().slice(0, 10), open],
  )
  for (const { upstreamId, rawCostPico, ...call } of [...(await openSpots(open)), ...drawn]) {
    const found = await readGeneration({ dispatch: call, upstreamId }).catch(() => null)
    const told = found?.kind === 'found' ? found.report.costPico : null
    if (told === null) continue
    const counted = BigInt(rawCostPico)
    yield {
      reference: call.id,
      workspaceId: call.workspaceId,
      expected: `${usd(told)} by the provider’s record`,
      actual: `${usd(counted)} in the ledger`,
      moneyPico: counted - told,
      equal: counted === told,
    }
  }
}

/** A call's id holds its millisecond: the partitions of these are looked into, not all. */
async function openSpots(open: string[]): Promise<Spot[]> {
  const { rows } = await systemPool().query<Spot>(
    `SELECT ${spotColumns}, coalesce(a.raw_cost_pico, n.raw_cost_pico)::text AS "rawCostPico"
     FROM unnest($1::uuid[], $2::timestamptz[]) o(id, at)
     JOIN reconciliation_differences d ON d.kind = 'generation' AND d.reference = o.id::text AND d.resolved_at IS NULL
     JOIN metering.inference_calls c ON c.workspace_id = d.workspace_id AND c.id = o.id AND c.dispatched_at BETWEEN o.at - interval '1 millisecond' AND o.at + interval '1 millisecond'
     JOIN metering.calls_now n ON n.workspace_id = c.workspace_id AND n.dispatched_at = c.dispatched_at AND n.id = c.id
     ${enteredCost}`,
    [open, open.map((id) => idTime(id))],
  )
  return rows
}
