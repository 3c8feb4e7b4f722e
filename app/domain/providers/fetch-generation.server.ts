import type { Credential } from './credential.ts'
import { askProvider } from './internal/ask-provider.server.ts'
import type { ProviderId } from './provider.ts'
import { providerOf } from './registry.ts'
import { type GenerationReport, readGeneration } from './usage.ts'

/**
 * `found`: the provider's own record. `missing`: not there, or not yet, since rows appear with a delay. `refused`: the key
 * may not read it. `unreachable`: ask again later.
 */
export type GenerationLookup =
  | { kind: 'found'; report: GenerationReport }
  | { kind: 'missing' | 'refused' | 'unreachable' }

const lookupTimeoutMs = 5_000

/** What a provider calls a generation, safe to put into a path. */
export const isGenerationId = (text: string): boolean => /^[A-Za-z0-9_-]{1,128}$/.test(text)

/** Reads the provider's record of one generation; `missing` where the provider keeps none. Never throws. */
export async function fetchGeneration(
  provider: ProviderId,
  credential: Credential,
  generationId: string,
  timeoutMs = lookupTimeoutMs,
): Promise<GenerationLookup> {
  const row = providerOf(provider)
  if (!row.generation || !isGenerationId(generationId)) return { kind: 'missing' }
  const at = { base: null, path: `${row.generation.path}?id=${generationId}` }
  const reply = await askProvider(row, credential, { at, timeoutMs })
  if (reply.kind !== 'answered' || reply.status === 429 || reply.status >= 500) return { kind: 'unreachable' }
  if (reply.status === 401 || reply.status === 403) return { kind: 'refused' }
  const report = reply.status === 200 ? readGeneration(reply.text) : null
  return report ? { kind: 'found', report } : { kind: 'missing' }
}
