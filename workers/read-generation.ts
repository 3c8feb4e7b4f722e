import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { fetchGeneration } from '#app/domain/providers/fetch-generation.server.ts'
import { platformCredential } from '#app/domain/providers/platform-credential.server.ts'
import { openProviderKey } from '#app/domain/vault/open-provider-key.server.ts'

/**
 * Reads a generation under the key that paid for it: nobody else's key can see it. A workspace's key that was replaced or
 * purged since can no longer ask, which is an answer too.
 */
export const readGeneration: GenerationReader = async ({ dispatch, upstreamId }) => {
  const { workspaceId, keySource, keyId, keyVersion } = dispatch
  if (keySource === 'platform') return fetchGeneration('openrouter', platformCredential(), upstreamId)
  if (keyId === null || keyVersion === null) return { kind: 'refused' }
  try {
    const credential = await openProviderKey({ workspaceId, keyId, keyVersion })
    return await fetchGeneration(credential.provider, credential, upstreamId)
  } catch {
    return { kind: 'refused' }
  }
}
