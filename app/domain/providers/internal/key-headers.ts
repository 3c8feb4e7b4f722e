import type { Credential } from '../credential.ts'
import type { Place, Provider } from '../provider.ts'

/**
 * The headers that carry a key (names and values in turn): one kind per provider, since a key in a header that the provider
 * does not read is a key shown for nothing. AWS's signature is made where the request is sent.
 */
export function keyHeaders(row: Provider, { apiKey }: Credential, auth: Place['auth'] | Provider['auth'] = row.auth) {
  switch (auth) {
    case 'bearer':
      return ['authorization', `Bearer ${apiKey}`]
    case 'x-api-key':
    case 'api-key':
    case 'x-goog-api-key':
      return [auth, apiKey]
    default:
      return []
  }
}
