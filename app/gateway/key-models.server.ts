import { indexModels, type ModelIndex } from '#app/domain/providers/model-ids.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { AdmissionKey } from './admission.server.ts'

/** How long a process works with a key's list of models, in ms, and how many lists it holds. */
const ageMaxMs = 60_000
const mostHeld = 2_000

interface Held {
  index: Promise<ModelIndex | null>
  readAt: number
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

/** The models that a key's provider last listed for it; null where it has not been asked yet. Read at most once a minute. */
export function modelsOfKey(workspaceId: string, key: AdmissionKey): Promise<ModelIndex | null> {
  const name = `${key.id} ${key.version}`
  const known = held().get(name)
  const now = performance.now()
  if (known && now - known.readAt < ageMaxMs) return known.index
  if (held().size >= mostHeld) held().delete(held().keys().next().value as string)
  const index = readIndex(workspaceId, key)
  held().set(name, { index, readAt: now })
  index.then(
    // A list that is not there yet is looked for again at the next call: it is fetched right after a key is saved.
    (found) => found === null && held().delete(name),
    () => held().delete(name),
  )
  return index
}
