import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { inTenant } from '#app/platform/db.server.ts'
import type { Pico } from '#app/platform/pico.ts'

/** Usage that is no call, summed. */
export interface MeteredSums {
  meter: string
  /** As the price book calls it; the meter's id where no book does any more. */
  name: string
  unit: string
  events: string
  /** Decimal text, in units. */
  quantity: string
  creditPico: Pico
  chargePico: Pico
}

export interface MeteredUsage {
  byMeter: MeteredSums[]
  byDay: (MeteredSums & { day: string })[]
}

interface Row {
  day: string | null
  meter: string
  events: string
  quantity: string
  credit: string
  charge: string
}

/** The usage events of UTC days, both inclusive, by meter and by day. Every member reads it. */
export async function readMeteredUsage(ctx: Ctx, { from, to }: { from: string; to: string }): Promise<MeteredUsage> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:InferenceCall', { workspaceId })
  const rows = await inTenant(
    { workspaceId },
    (tx) => tx.$queryRaw<Row[]>`
      SELECT (u.occurred_at AT TIME ZONE 'UTC')::date::text AS day, u.meter, count(*)::text AS events,
        trim_scale(sum(u.quantity))::text AS quantity, sum(u.credit_pico)::text AS credit, sum(u.charge_pico)::text AS charge
        FROM metering.usage_events u
       WHERE u.workspace_id = ${workspaceId}::uuid AND u.occurred_at >= (${from}::timestamp AT TIME ZONE 'UTC')
         AND u.occurred_at < ((${to}::date + 1)::timestamp AT TIME ZONE 'UTC')
       GROUP BY GROUPING SETS ((u.meter), ((u.occurred_at AT TIME ZONE 'UTC')::date, u.meter))
       ORDER BY day DESC NULLS FIRST, u.meter`,
  )
  const { books } = await loadCatalogue()
  const named = (meter: string) => books.findLast(({ meters }) => Object.hasOwn(meters, meter))?.meters[meter]
  const sums = rows.map(({ day, meter, events, quantity, credit, charge }) => ({
    ...{ day, meter, name: named(meter)?.name ?? meter, unit: named(meter)?.unit ?? 'unit', events, quantity },
    ...{ creditPico: BigInt(credit), chargePico: BigInt(charge) },
  }))
  return {
    byMeter: sums.filter(({ day }) => day === null),
    byDay: sums.flatMap((row) => (row.day === null ? [] : [{ ...row, day: row.day }])),
  }
}
