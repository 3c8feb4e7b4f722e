import { storePriceList } from '#app/domain/pricing/store-price-list.server.ts'
import { listKeyModels } from '#app/domain/providers/list-models.server.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { openProviderKey } from './open-provider-key.server.ts'

/**
 * Stores which models a saved key can call, as its provider lists them now. A key that may not list them keeps what was
 * known before.
 * @throws AppError upstream where the provider could not be asked: the job's own back-off tries again
 */
export async function refreshKeyModels(
  workspaceId: string,
  keyId: string,
  at: Date,
): Promise<'gone' | 'refused' | number> {
  const row = await inSystem((tx) =>
    tx.providerKey.findUnique({
      where: { workspaceId_id: { workspaceId, id: keyId } },
      select: { version: true, enabled: true },
    }),
  )
  if (!row?.enabled) return 'gone'
  const { version: keyVersion } = row
  const credential = await openProviderKey({ workspaceId, keyId, keyVersion })
  const listing = await listKeyModels(credential)
  if ('failure' in listing) {
    if (listing.failure === 'refused') return 'refused'
    const internal = listing.failure
    throw new AppError('upstream', 'provider_unreachable', 'The provider’s models could not be listed.', { internal })
  }
  // Some providers show their prices to holders of a key only.
  const { models: list } = providerOf(credential.provider)
  if (list.prices !== null && !list.public) await storePriceList(credential.provider, listing.models, at)
  const models = listing.models.map(({ id }) => id)
  return inSystem(async (tx) => {
    const current = await tx.providerKey.count({ where: { workspaceId, id: keyId, version: keyVersion } })
    if (!current) return 'gone'
    await tx.providerKeyModels.upsert({
      where: { workspaceId_keyId: { workspaceId, keyId } },
      create: { workspaceId, keyId, keyVersion, models, fetchedAt: at },
      update: { keyVersion, models, fetchedAt: at },
    })
    return models.length
  })
}
