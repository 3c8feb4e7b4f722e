import { env } from '#app/platform/env.server.ts'
import type { Credential } from './credential.ts'

/** The platform's own key, for calls that no workspace's key pays. */
export function platformCredential(): Credential {
  const apiKey = env().openrouterPlatformKey
  return { provider: 'openrouter', apiKey, secrets: [apiKey] }
}
