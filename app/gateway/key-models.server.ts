import { indexModels, type ModelIndex } from '#app/domain/providers/model-ids.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { AdmissionKey } from './admission.server.ts'

/** How long a process works with a key's list of models, in ms, and how many lists it holds. */
const ageMaxMs = 60_000
const mostHeld = 2_000
/**
 * How long it takes a list for absent, in ms: it comes with a job right after a key is saved, or not at all where the provider
 * does not give it out. Looked for at every call, an absent list was a third round trip of each.
 */
const absentMaxMs = 1_000

interface Held {
  index: Promise<ModelIndex | null>
  /** Monotonic ms. */
  validUntil: number
}

const held = () => singleton('gateway:key-models', () => new Map<string, Held>())

async function readIndex(workspaceId: string, key: AdmissionKey): Promise<ModelIndex | null> {
  const { rows } = await systemPool().query<{ models: string[] }>({
    name: 'key-models',
    text: 'SELECT models FROM provider_key_models WHERE workspace_id = $1 AND key_id = $2 AND key_version = $3',
    values: [workspaceId, key.id, key.version],
  })
  return rows[0] ? indexModels(rows[0].models) : null
}

/** The models that a key's provider last listed for it; null where there is no list. Read at most once a minute. */
export function modelsOfKey(workspaceId: string, key: AdmissionKey): Promise<ModelIndex | null> {
  const name = `${key.id} ${key.version}`
  const known = held().get(name)
  const now = performance.now()
  if (known && now < known.validUntil) return known.index
  if (held().size >= mostHeld) held().delete(held().keys().next().value as string)
  const read: Held = { index: readIndex(workspaceId, key), validUntil: now + ageMaxMs }
  held().set(name, read)
  read.index.then(
    (found) => {
      if (found === null) read.validUntil = performance.now() + absentMaxMs
    },
    () => held().delete(name),
  )
  return read.index
}
