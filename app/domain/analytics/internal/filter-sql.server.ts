import { Prisma } from '#app/generated/prisma/client.ts'
import { monthToDate } from '#app/platform/calendar-month.ts'
import type { CallFilter } from '../analytics.ts'

const { sql, join } = Prisma

/** The columns that the rollups and the calls share. The tenant stands first in each. */
function sharedConditions(workspaceId: string, filter: CallFilter): Prisma.Sql[] {
  const conditions = [sql`workspace_id = ${workspaceId}::uuid`]
  if (filter.model !== null) conditions.push(sql`model = ${filter.model}`)
  if (filter.surface !== null) conditions.push(sql`surface = ${filter.surface}`)
  if (filter.tier !== null) conditions.push(sql`tier = ${filter.tier}`)
  if (filter.keySource !== null) conditions.push(sql`key_source = ${filter.keySource}`)
  if (filter.chargeMode !== null) conditions.push(sql`charge_mode = ${filter.chargeMode}`)
  if (filter.billedIn !== null) conditions.push(sql`billing_month = ${monthToDate(filter.billedIn)}::date`)
  if (filter.priceBookVersion !== null) conditions.push(sql`price_book_version = ${filter.priceBookVersion}`)
  return conditions
}

const and = (conditions: Prisma.Sql[]): Prisma.Sql => join(conditions, ' AND ')

/** Rollup rows of the filter's days that match it. */
export const rollupsWhere = (workspaceId: string, filter: CallFilter): Prisma.Sql =>
  and([...sharedConditions(workspaceId, filter), sql`day BETWEEN ${filter.from}::date AND ${filter.to}::date`])

/** Rollup rows of the filter's days, whatever they hold; and whether one matches. */
export const daysWhere = (workspaceId: string, filter: CallFilter): Prisma.Sql =>
  sql`workspace_id = ${workspaceId}::uuid AND day BETWEEN ${filter.from}::date AND ${filter.to}::date`
export const matches = (workspaceId: string, filter: CallFilter): Prisma.Sql =>
  and(sharedConditions(workspaceId, filter))

/** How many calls of a rollup row a list would show. */
export function listedCalls({ outcome }: CallFilter): Prisma.Sql {
  if (outcome === 'failed') return sql`failed_calls`
  return outcome === 'held' ? sql`held_calls` : sql`calls`
}

/** Calls that match, their time apart. */
export function callsWhere(workspaceId: string, filter: CallFilter): Prisma.Sql {
  const conditions = sharedConditions(workspaceId, filter)
  if (filter.outcome === 'failed') conditions.push(sql`status NOT IN ('ok', 'client_closed')`)
  if (filter.outcome === 'held') conditions.push(sql`charge_pico IS NULL`)
  return and(conditions)
}
