import type { IncomingMessage } from 'node:http'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { awsSignatureHolds, readAwsClaim } from './aws-signature.ts'
import { sandboxAwsSecret, sandboxSessionToken } from './keys.ts'

/** How each provider wants its key. A key in another header is no key there (Chutes ignores X-API-Key, providers §2.1). */
const kinds: Partial<Record<ProviderId, 'x-api-key' | 'api-key' | 'sigv4'>> = {
  anthropic: 'x-api-key',
  azure: 'api-key',
  'azure-responses': 'api-key',
  bedrock: 'sigv4',
}

export interface Presented {
  /** For the journal. */
  auth: string | null
  secret: string | null
  badSignature: boolean
}

const nothing: Presented = { auth: null, secret: null, badSignature: false }

function presentedByAws(request: IncomingMessage, body: Buffer): Presented {
  const claim = readAwsClaim(request.headers.authorization)
  if (!claim) return nothing
  const { accessKeyId } = claim
  const token = request.headers['x-amz-security-token']
  const wanted = accessKeyId.startsWith('ASIA') ? sandboxSessionToken(accessKeyId) : undefined
  const signed = awsSignatureHolds(request, body, claim, sandboxAwsSecret(accessKeyId))
  const host = /\/hosts\/(\w+)[.-]/.exec(request.url ?? '')?.[1]
  const holds = signed && token === wanted && claim.service === (host === 'sts' ? 'sts' : 'bedrock')
  return { auth: holds ? 'sigv4' : 'sigv4 refused', secret: accessKeyId, badSignature: !holds }
}

/** The key that a request presents, where its provider looks for it. */
export function readPresented(provider: ProviderId, path: string, request: IncomingMessage, body: Buffer): Presented {
  const kind = kinds[provider] ?? 'bearer'
  if (kind === 'sigv4') return presentedByAws(request, body)
  if (provider === 'nvidia' && path === '/hosts/api.ngc.nvidia.com/v3/keys/get-caller-info') {
    const secret = new URLSearchParams(body.toString('utf8')).get('credentials')
    return secret === null ? nothing : { auth: 'form', secret, badSignature: false }
  }
  const native = provider === 'google' && path.startsWith('/hosts/')
  const name = native ? 'x-goog-api-key' : kind === 'bearer' ? 'authorization' : kind
  const value = request.headers[name]
  if (typeof value !== 'string') return nothing
  const secret = name === 'authorization' ? (/^Bearer (\S+)$/.exec(value)?.[1] ?? null) : value
  return secret === null ? nothing : { auth: name === 'authorization' ? 'bearer' : name, secret, badSignature: false }
}
