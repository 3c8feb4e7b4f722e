import { singleton } from './singleton.server.ts'

/**
 * Random keys of this installation, opened from the vault at boot:
 * `token_pepper` hashes gateway tokens, `audit_mac` chains the audit log, `fingerprint_mac` recognises a key that is saved
 * again, `session_secret` signs session cookies.
 */
export const processSecretNames = ['token_pepper', 'audit_mac', 'fingerprint_mac', 'session_secret'] as const
export type ProcessSecretName = (typeof processSecretNames)[number]

const held = () => singleton('process-secrets', () => new Map<ProcessSecretName, Buffer>())

export function holdProcessSecret(name: ProcessSecretName, bytes: Uint8Array): void {
  held().set(name, Buffer.from(bytes))
}

/** @throws Error where the vault has not been opened yet: fail closed, never with an empty key */
export function processSecret(name: ProcessSecretName): Buffer {
  const bytes = held().get(name)
  if (!bytes) throw new Error(`process secret ${name} is not open: openVault() has not run`)
  return bytes
}
