import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { processSecret } from '#app/platform/process-secrets.server.ts'

/** Key objects by pepper: made of plain bytes for every call, the key would cost ten times the hash. */
const keys = new WeakMap<Buffer, KeyObject>()

function pepperKey(): KeyObject {
  const pepper = processSecret('token_pepper')
  const known = keys.get(pepper)
  if (known) return known
  const made = createSecretKey(pepper)
  keys.set(pepper, made)
  return made
}

/** HMAC-SHA-256 under the installation's pepper: what is stored and looked up. A dump of the table holds no usable token. */
export const hashGatewayToken = (token: string): Buffer => createHmac('sha256', pepperKey()).update(token).digest()
