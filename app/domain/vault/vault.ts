/** What a page may know of a saved key. There is no field for the secret: showing it would be a type error. */
export interface ProviderKeyStatus {
  id: string
  provider: string
  hint: string
  version: number
  enabled: boolean
  verification: 'valid' | 'unverified'
  savedAt: string
  savedBy: string | null
  lastErrorCode: string | null
  lastErrorAt: string | null
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
