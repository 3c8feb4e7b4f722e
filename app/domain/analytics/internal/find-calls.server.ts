import { Prisma } from '#app/generated/prisma/client.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { idTime } from '#app/platform/ids.ts'
import { type CallFilter, type CallPage, cursorAt, type PageRequest, SCAN_ROWS_MAX } from '../analytics.ts'
import { callColumns, type RawCall, toCallRow } from './call-row.server.ts'
import { callsWhere, daysWhere, listedCalls, matches } from './filter-sql.server.ts'

const { sql } = Prisma
const DAY_MS = 86_400_000
const dayStart = (day: string): number => Date.parse(`${day}T00:00:00Z`)

interface DayCount {
  day: string
  /** Calls of the day that the list would show, and calls of the day at all. */
  listed: number
  all: number
}

/** Half-open, in ms. */
interface Stretch {
  from: number
  to: number
}

/** Days that hold matches, newest first: the rollups know without a look at the calls. */
export const daysQuery = (workspaceId: string, filter: CallFilter): Prisma.Sql => sql`
  SELECT day::text, listed::float8, "all"::float8 FROM (
    SELECT day, sum(${listedCalls(filter)}) FILTER (WHERE ${matches(workspaceId, filter)}) AS listed, sum(calls) AS "all"
    FROM metering.call_daily_rollups WHERE ${daysWhere(workspaceId, filter)} GROUP BY day) AS days
  WHERE listed > 0 ORDER BY day DESC`

/** As many days as fill the page, or as may be searched. The cursor's own day is partly read already: it fills nothing. */
function chooseDays(days: DayCount[], { after, limit }: PageRequest): DayCount[] {
  const cursorDay = after && idTime(after).toISOString().slice(0, 10)
  const chosen: DayCount[] = []
  let [found, read] = [0, 0]
  for (const day of days) {
    if (chosen.length && (found > limit || read + day.all > SCAN_ROWS_MAX)) break
    chosen.push(day)
    read += day.all
    if (day.day !== cursorDay) found += day.listed
  }
  return chosen
}

/** Neighbouring days as one stretch: fewer index scans. */
function toStretches(days: DayCount[]): Stretch[] {
  const stretches: Stretch[] = []
  for (const { day } of days) {
    const from = dayStart(day)
    const last = stretches.at(-1)
    if (last && last.from === from + DAY_MS) last.from = from
    else stretches.push({ from, to: from + DAY_MS })
  }
  return stretches
}

const instant = (ms: number): Prisma.Sql => sql`${new Date(ms).toISOString()}::timestamptz`

/**
 * The newest matches of a stretch after the cursor: a backward scan of the primary key that stops at `limit`. The bounds are
 * plain values, so that only their partitions are planned.
 */
export function callsQuery(
  workspaceId: string,
  filter: CallFilter,
  stretch: Stretch,
  { after, limit }: PageRequest,
): Prisma.Sql {
  const to = after ? Math.min(stretch.to, idTime(after).getTime() + 1) : stretch.to
  const start = after
    ? sql`AND (dispatched_at, id) < (${instant(idTime(after).getTime())}, ${after}::uuid)`
    : Prisma.empty
  return sql`
    SELECT ${callColumns} FROM metering.calls_now
    WHERE ${callsWhere(workspaceId, filter)} AND dispatched_at >= ${instant(stretch.from)} AND dispatched_at < ${instant(to)} ${start}
    ORDER BY dispatched_at DESC, calls_now.id DESC LIMIT ${limit}`
}

/** One page of matching calls, newest first. */
export async function findCalls(tx: Tx, workspaceId: string, filter: CallFilter, page: PageRequest): Promise<CallPage> {
  const to = page.after ? idTime(page.after).toISOString().slice(0, 10) : filter.to
  const open = to < filter.to ? { ...filter, to } : filter
  const days = await tx.$queryRaw<DayCount[]>(daysQuery(workspaceId, open))
  const chosen = chooseDays(days, page)
  const oldest = chosen.at(-1)
  if (!oldest) return { calls: [], next: null }
  const rows: RawCall[] = []
  for (const stretch of toStretches(chosen)) {
    const limit = page.limit + 1 - rows.length
    if (limit > 0)
      rows.push(...(await tx.$queryRaw<RawCall[]>(callsQuery(workspaceId, filter, stretch, { ...page, limit }))))
  }
  const calls = rows.slice(0, page.limit).map(toCallRow)
  if (rows.length > page.limit) return { calls, next: calls.at(-1)?.id ?? null }
  return { calls, next: chosen.length < days.length ? cursorAt(new Date(dayStart(oldest.day))) : null }
}
