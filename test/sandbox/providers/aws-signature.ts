import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex')
const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest()

/** Everything but letters, digits and `-._~` as `%XX`. */
const encoded = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

export interface AwsClaim {
  accessKeyId: string
  date: string
  region: string
  service: string
  signedHeaders: string[]
  signature: string
}

const form =
  /^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/

/** Who a request claims to be signed by; null where it is not signed in this way. */
export function readAwsClaim(authorization: string | undefined): AwsClaim | null {
  const match = form.exec(authorization ?? '')
  if (!match) return null
  const [, accessKeyId = '', date = '', region = '', service = '', headers = '', signature = ''] = match
  return { accessKeyId, date, region, service, signedHeaders: headers.split(';'), signature }
}

/** The request as its signer must have seen it: path segments encoded once more, query sorted, headers in the given order. */
function canonicalRequest(request: IncomingMessage, body: Buffer, claim: AwsClaim): string {
  const [path = '/', query = ''] = (request.url ?? '/').split('?')
  const canonicalPath = path.split('/').map(encoded).join('/')
  const pairs = [...new URLSearchParams(query)].map(([name, value]) => `${encoded(name)}=${encoded(value)}`).sort()
  const headers = claim.signedHeaders.map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`).join('')
  return [request.method, canonicalPath, pairs.join('&'), headers, claim.signedHeaders.join(';'), sha256(body)].join(
    '\n',
  )
}

/**
 * Whether a request was signed with this secret: Signature Version 4 worked out here from AWS's description, independent of
 * the library that the product signs with. Host and date must be signed, and the date be of the last five minutes.
 */
export function awsSignatureHolds(request: IncomingMessage, body: Buffer, claim: AwsClaim, secret: string): boolean {
  const at = String(request.headers['x-amz-date'] ?? '')
  const when = Date.parse(at.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (!claim.signedHeaders.includes('host') || !claim.signedHeaders.includes('x-amz-date')) return false
  if (!at.startsWith(claim.date) || !(Math.abs(Date.now() - when) < 300_000)) return false
  const scope = `${claim.date}/${claim.region}/${claim.service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', at, scope, sha256(canonicalRequest(request, body, claim))].join('\n')
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, claim.date), claim.region), claim.service), 'aws4_request')
  return hmac(key, toSign).toString('hex') === claim.signature
}
