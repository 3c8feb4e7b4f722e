import type pg from 'pg'
import type { Credential } from '#app/domain/providers/credential.ts'
import { parseCredential } from '#app/domain/providers/parse-credential.ts'
import { isProviderId, type ProviderId } from '#app/domain/providers/provider.ts'
import { listenClient, systemPool } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { keyUnavailable } from './errors.ts'
import { openDataKey } from './internal/data-key.server.ts'
import { credentialFields } from './internal/envelope.ts'
import { ALGORITHM, unseal, wipe } from './internal/sodium.server.ts'
import { OPEN_KEY_MAX_MS, OPEN_KEYS_MAX } from './vault.ts'

export interface KeyReference {
  workspaceId: string
  keyId: string
  keyVersion: number
}

interface OpenKey {
  provider: ProviderId
  bytes: Uint8Array
  workspaceId: string
  /** Monotonic ms at which the read that opened it began. */
  readStartedAt: number
}

interface KeyCache {
  open: Map<string, OpenKey>
  loading: Map<string, Promise<OpenKey>>
  /** Rises with every invalidation of a workspace: a load begun before it may not fill the cache after it. */
  generations: Map<string, number>
}

const cache = (): KeyCache =>
  singleton('open-keys', () => ({ open: new Map(), loading: new Map(), generations: new Map() }))
const cacheKey = ({ workspaceId, keyId, keyVersion }: KeyReference) => `${workspaceId} ${keyId} ${keyVersion}`

/** Drops what is open of a workspace's keys, and overwrites its bytes. */
export function forgetOpenKeys(workspaceId: string): void {
  const { open, loading, generations } = cache()
  generations.set(workspaceId, (generations.get(workspaceId) ?? 0) + 1)
  for (const [name, key] of open) {
    if (key.workspaceId !== workspaceId) continue
    open.delete(name)
    wipe(key.bytes)
  }
  for (const name of loading.keys()) if (name.startsWith(`${workspaceId} `)) loading.delete(name)
}

export function forgetAllOpenKeys(): void {
  const { open } = cache()
  for (const workspaceId of new Set([...open.values()].map((key) => key.workspaceId))) forgetOpenKeys(workspaceId)
}

interface SealedRow {
  provider: string
  nonce: Buffer
  ciphertext: Buffer
  algorithm: string
  dataKeyId: string
  kekId: string
  dataKeyNonce: Buffer
  dataKeySealed: Buffer
}

/** Reads and opens one sealed key. Only the version asked for: a key replaced meanwhile is not the key that was chosen. */
async function loadKey(reference: KeyReference): Promise<OpenKey> {
  const { workspaceId, keyId, keyVersion } = reference
  const readStartedAt = performance.now()
  const { rows } = await systemPool().query<SealedRow>({
    name: 'open-provider-key',
    text: `SELECT k.provider, k.nonce, k.ciphertext, k.algorithm, d.id::text AS "dataKeyId", d.kek_id::text AS "kekId",
             d.nonce AS "dataKeyNonce", d.sealed AS "dataKeySealed"
           FROM provider_keys k JOIN workspace_data_keys d ON d.workspace_id = k.workspace_id AND d.id = k.data_key_id
           WHERE k.workspace_id = $1 AND k.id = $2 AND k.version = $3 AND k.enabled`,
    values: [workspaceId, keyId, keyVersion],
  })
  const row = rows[0]
  if (!row) throw keyUnavailable(`key ${keyId} version ${keyVersion} is gone or disabled`)
  if (!isProviderId(row.provider)) throw keyUnavailable(`key ${keyId} is of a provider that is not known`)
  if (row.algorithm !== ALGORITHM) throw keyUnavailable(`key ${keyId} is sealed by an algorithm that is not accepted`)
  const dataKey = await openDataKey({
    id: row.dataKeyId,
    workspaceId,
    kekId: row.kekId,
    nonce: row.dataKeyNonce,
    sealed: row.dataKeySealed,
  })
  const identity = { workspaceId, provider: row.provider, keyId, version: keyVersion, dataKeyId: row.dataKeyId }
  try {
    const bytes = unseal(
      { nonce: row.nonce, sealed: row.ciphertext },
      dataKey.bytes,
      credentialFields(identity, ALGORITHM),
    )
    return { provider: row.provider, bytes, workspaceId, readStartedAt }
  } finally {
    wipe(dataKey.bytes)
  }
}

function evictOldest(open: Map<string, OpenKey>): void {
  if (open.size < OPEN_KEYS_MAX) return
  const [name, key] = open.entries().next().value as [string, OpenKey]
  open.delete(name)
  wipe(key.bytes)
}

async function loadIntoCache(name: string, reference: KeyReference): Promise<OpenKey> {
  const { open, loading, generations } = cache()
  const generation = generations.get(reference.workspaceId) ?? 0
  const load = loadKey(reference)
  loading.set(name, load)
  try {
    const key = await load
    if ((generations.get(reference.workspaceId) ?? 0) === generation) {
      evictOldest(open)
      open.set(name, key)
    }
    return key
  } finally {
    if (loading.get(name) === load) loading.delete(name)
  }
}

const toCredential = ({ provider, bytes }: OpenKey): Credential =>
  parseCredential(provider, Buffer.from(bytes).toString('utf8'))

/**
 * The decrypted credential, whose texts live as long as the call they are opened for. Held in bytes for at most 120 s from
 * the start of the database read (checked at use, on the monotonic clock), shared by concurrent callers, dropped by NOTIFY.
 * @throws AppError unavailable `key_unavailable` whatever goes wrong: the caller fails the call, it never falls back
 */
export async function openProviderKey(reference: KeyReference): Promise<Credential> {
  const { open, loading } = cache()
  const name = cacheKey(reference)
  const held = open.get(name)
  if (held && performance.now() - held.readStartedAt < OPEN_KEY_MAX_MS) return toCredential(held)
  if (held) {
    open.delete(name)
    wipe(held.bytes)
  }
  try {
    const key = await (loading.get(name) ?? loadIntoCache(name, reference))
    return toCredential(key)
  } catch (error) {
    throw (error as { code?: string }).code === 'key_unavailable'
      ? error
      : keyUnavailable(`key ${reference.keyId} does not open`, error)
  }
}

/** Drops keys past their time although nobody asks for them. Hygiene only: use checks the age itself. */
function sweepExpired(): void {
  const now = performance.now()
  for (const [name, key] of cache().open) {
    if (now - key.readStartedAt < OPEN_KEY_MAX_MS) continue
    cache().open.delete(name)
    wipe(key.bytes)
  }
}

export interface KeyListener {
  stop(): Promise<void>
}

/**
 * Listens for changed keys and plans. While the connection is down nothing is known, so everything open is dropped when it
 * breaks and again when it is back; the 120 s bound holds without it.
 */
export async function startKeyListener(): Promise<KeyListener> {
  let stopped = false
  let client: pg.Client | undefined
  let retry: NodeJS.Timeout | undefined
  const connect = async () => {
    const next = listenClient()
    next.on('notification', ({ payload }) => forgetOpenKeys((payload ?? '').split(' ')[0] ?? ''))
    next.on('error', () => {})
    await next.connect()
    await next.query('LISTEN keymargin_keys')
    // Only a connection that was up is missed here: one that never came up is tried again by `reconnect` alone.
    next.once('end', () => {
      forgetAllOpenKeys()
      if (!stopped) retry = setTimeout(reconnect, 250)
    })
    client = next
    forgetAllOpenKeys()
  }
  let connecting: Promise<void> | undefined
  const reconnect = () => {
    connecting = connect().catch((error: Error) => {
      log.warn({ reason: error.message }, 'key listener cannot connect; keys expire by age until it can')
      if (!stopped) retry = setTimeout(reconnect, 1_000)
    })
  }
  await connect()
  const hygiene = setInterval(sweepExpired, 5_000)
  hygiene.unref()
  return {
    async stop() {
      stopped = true
      clearTimeout(retry)
      clearInterval(hygiene)
      await connecting // begun before the stop: it would stay open behind it
      await client?.end()
      forgetAllOpenKeys()
    },
  }
}
