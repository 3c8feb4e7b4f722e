import { createHmac } from 'node:crypto'
import { processSecret } from '#app/platform/process-secrets.server.ts'

/** HMAC-SHA-256 under the installation's pepper: what is stored and looked up. A dump of the table holds no usable token. */
export const hashGatewayToken = (token: string): Buffer =>
  createHmac('sha256', processSecret('token_pepper')).update(token).digest()
