/** What a page may know of a saved key. There is no field for the secret: showing it would be a type error. */
export interface ProviderKeyStatus {
  id: string
  provider: string
  hint: string
  version: number
  enabled: boolean
  /** What the holder calls it; may be empty. */
  name: string
  /** Place among the provider's keys: the first usable one is taken. */
  position: number
  /** Empty: all. */
  allowedModels: string[]
  allowedSurfaces: string[]
  verification: 'valid' | 'restricted' | 'unverified'
  verifiedAt: string | null
  savedAt: string
  savedBy: string | null
  lastUsedAt: string | null
  lastSuccessAt: string | null
  lastErrorCode: string | null
  /** What the provider said, in words for people. */
  lastErrorText: string | null
  lastErrorAt: string | null
  /** Null: the provider tells none, or was not asked yet. `usd` is exact decimal text, null for `no_limit`. */
  balance: { kind: 'key_limit' | 'account' | 'no_limit'; usd: string | null; at: string; low: boolean } | null
  /** Models that the provider lists for the key; null: not asked yet. */
  modelCount: number | null
}

/** Destroyed keys, as the certificate shows them. */
export interface PurgeCertificate {
  id: string
  provider: string
  hint: string
  keyVersion: number
  /** SHA-256-HMAC of the destroyed key under the installation's fingerprint key, hex: proves which key, cannot make it. */
  fingerprint: string
  dataKeyId: string
  cause: string
  causeReference: string | null
  fromPlan: string | null
  toPlan: string | null
  keyEpoch: string
  purgedAt: string
}

/** How long a decrypted key may be used, from the start of the database read that opened it (ms, monotonic clock). */
export const OPEN_KEY_MAX_MS = 120_000
/** How many decrypted keys a process holds at most. */
export const OPEN_KEYS_MAX = 1_000
