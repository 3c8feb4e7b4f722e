import type { IncomingMessage } from 'node:http'
import { hashGatewayToken } from '#app/domain/tokens/hash-gateway-token.server.ts'
import { isWellFormedToken } from '#app/domain/tokens/tokens.ts'
import { env } from '#app/platform/env.server.ts'
import { type Admitted, markTokenUsed, readAdmission } from './admission.server.ts'
import { badRequest, GatewayError } from './gateway-error.ts'

const bearer = /^Bearer ([^\s]{1,200})$/i
const secretInQuery = /[?&](?:api[-_]?key|key|token|access[-_]token|authorization)=/i

const refuse = (code: string, message: string): GatewayError => new GatewayError(401, code, message)

const unknownToken = () =>
  refuse(
    'invalid_token',
    'This gateway token is not valid. Check for a typo, or make a new one under Settings → Gateway tokens.',
  )

function countAuthorization(request: IncomingMessage): number {
  let count = 0
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] ?? ''
    if (name.length === 13 && name.toLowerCase() === 'authorization') count += 1
  }
  return count
}

/**
 * The token's hash, from the header alone. A malformed or mistyped token is refused here, by its shape and its checksum,
 * before any query (security §3.6).
 * @throws GatewayError 400, 401
 */
export function readToken(request: IncomingMessage): Buffer {
  if (secretInQuery.test(request.url ?? ''))
    throw badRequest(
      'token_in_query',
      "Send the token in the header 'Authorization: Bearer …', never in the URL, and replace it: URLs are written to logs.",
    )
  const header = request.headers.authorization
  if (header === undefined)
    throw refuse('missing_token', "Send your gateway token in the header 'Authorization: Bearer …'.")
  if (countAuthorization(request) > 1)
    throw badRequest('duplicate_authorization', "The header 'Authorization' was sent more than once.")
  const token = bearer.exec(header)?.[1]
  if (token === undefined)
    throw refuse('malformed_authorization', "The header must be 'Authorization: Bearer' and a gateway token.")
  if (!isWellFormedToken(token)) throw unknownToken()
  if (token.startsWith('km_test_') && !env().sandbox)
    throw refuse('wrong_environment', 'This is a test token; this gateway takes live tokens only.')
  return hashGatewayToken(token)
}

/**
 * What is known of a live token.
 * @throws GatewayError 401 for an unknown or revoked token: the two look the same
 */
export async function authenticate(tokenHash: Buffer, options: { fresh: boolean }): Promise<Admitted> {
  const admitted = await readAdmission(tokenHash, options)
  if (!admitted || admitted.admission.revoked) throw unknownToken()
  if (admitted.admission.stale) markTokenUsed(admitted.admission)
  return admitted
}
