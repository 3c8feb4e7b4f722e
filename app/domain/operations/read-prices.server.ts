import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import type { PriceLists } from './prices.ts'

/** Rows of the longest list that a page shows. */
const mostShown = 200

/** Models without a price (those called most first), the operator's own prices, and how old each provider's list is. */
export async function readPrices(ctx: OperatorCtx): Promise<PriceLists> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  return inSystem(async (tx) => {
    const unpriced = await tx.unpricedModel.findMany({
      orderBy: [{ calls: 'desc' }, { model: 'asc' }],
      take: mostShown,
    })
    const overrides = await tx.priceOverride.findMany({ orderBy: [{ provider: 'asc' }, { model: 'asc' }] })
    const catalogues = await tx.$queryRaw<{ provider: string; models: number; fetched_at: Date }[]>`
      SELECT provider, (SELECT count(*)::int FROM jsonb_object_keys(models)) AS models, fetched_at
        FROM provider_catalogues ORDER BY provider`
    // Processes know a new price within a minute, and until then put the model on the list again.
    const priced = new Set(overrides.map((row) => `${row.provider} ${row.model}`))
    return {
      unpriced: unpriced
        .filter((row) => row.missing !== '' || !priced.has(`${row.provider} ${row.model}`))
        .map((row) => ({
          provider: row.provider,
          model: row.model,
          calls: row.calls.toString(),
          missing: row.missing,
          firstSeenAt: row.firstSeenAt.toISOString(),
          lastSeenAt: row.lastSeenAt.toISOString(),
        })),
      overrides: overrides.map((row) => ({
        provider: row.provider,
        model: row.model,
        inputUsd: row.inputUsd.toFixed(),
        outputUsd: row.outputUsd.toFixed(),
        cacheReadUsd: row.cacheReadUsd?.toFixed() ?? null,
        cacheWriteUsd: row.cacheWriteUsd?.toFixed() ?? null,
        note: row.note,
        updatedAt: row.updatedAt.toISOString(),
      })),
      catalogues: catalogues.map(({ provider, models, fetched_at }) => ({
        provider,
        models,
        fetchedAt: fetched_at.toISOString(),
      })),
    }
  })
}
