import type { Credential } from './credential.ts'
import { askProvider, type TextReply } from './internal/ask-provider.server.ts'
import { readModelList } from './internal/model-lists.ts'
import type { ListedModel } from './listed-model.ts'
import type { Place, Provider, ProviderId } from './provider.ts'
import { providerOf } from './registry.ts'

export type ModelListing =
  | { models: ListedModel[] }
  | { failure: 'refused' | 'rate_limited' | 'provider_error' | 'timeout' | 'unreachable' | 'unexpected_reply' }

const listTimeoutMs = 20_000
/** Bytes of the largest list that is read; OpenRouter's has about one million. */
const largestList = 16 * 1024 * 1024

/** Where the list is: Azure wants its API version with it. */
export const modelListPlace = ({ models }: Provider, { azure }: Credential): Place =>
  azure ? { ...models.at, path: `${models.at.path}?api-version=${azure.apiVersion}` } : models.at

function failureOf(reply: TextReply): Extract<ModelListing, { failure: string }> | null {
  if (reply.kind !== 'answered') return { failure: reply.kind }
  if (reply.status === 200) return null
  if (reply.status === 401 || reply.status === 403) return { failure: 'refused' }
  if (reply.status === 429) return { failure: 'rate_limited' }
  return { failure: reply.status >= 500 ? 'provider_error' : 'unexpected_reply' }
}

async function readList(
  row: Provider,
  credential: Credential | null,
  at: Place,
  timeoutMs: number,
): Promise<ModelListing> {
  const reply = await askProvider(row, credential, { at, timeoutMs, largest: largestList })
  const failure = failureOf(reply)
  if (failure || reply.kind !== 'answered') return failure ?? { failure: 'unexpected_reply' }
  const models = readModelList(row.models, reply.text)
  return models ? { models } : { failure: 'unexpected_reply' }
}

/** Bedrock's models that are called across regions are listed apart; a key that may not see them still has the others. */
async function bedrockProfiles(row: Provider, credential: Credential, timeoutMs: number): Promise<ListedModel[]> {
  const at = { ...row.models.at, path: '/inference-profiles?maxResults=1000' }
  const listing = await readList(row, credential, at, timeoutMs)
  return 'models' in listing ? listing.models : []
}

/**
 * The models that a saved key can call, as its provider lists them, with prices where it lists those. Azure's deployments
 * cannot be listed with an inference key: there it is the one that the credential names. Never throws.
 */
export async function listKeyModels(credential: Credential, timeoutMs = listTimeoutMs): Promise<ModelListing> {
  const row = providerOf(credential.provider)
  const listing = await readList(row, credential, modelListPlace(row, credential), timeoutMs)
  if ('failure' in listing) return listing
  if (row.models.shape === 'deployment') {
    const name = credential.azure?.deploymentName
    return { models: name ? [{ id: name }] : [] }
  }
  if (row.models.shape !== 'bedrock') return listing
  return { models: [...listing.models, ...(await bedrockProfiles(row, credential, timeoutMs))] }
}

/**
 * The catalogue that a provider shows to everybody, with prices. Null where it shows none, or where it could not be read
 * now. Never throws.
 */
export async function fetchCatalogue(provider: ProviderId, timeoutMs = listTimeoutMs): Promise<ListedModel[] | null> {
  const row = providerOf(provider)
  if (!row.models.public || row.models.prices === null) return null
  const listing = await readList(row, null, row.models.at, timeoutMs)
  return 'models' in listing ? listing.models : null
}
