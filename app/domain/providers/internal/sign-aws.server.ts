import { AwsV4Signer } from 'aws4fetch'
import type { Credential } from '../credential.ts'

interface Signed {
  method: 'GET' | 'POST'
  /** The URL as it is sent, host included: both are part of the signature. */
  url: string
  body: Buffer | null
}

/** Headers (names and values in turn) that sign a request with Signature Version 4. @throws where the URL cannot be signed */
export async function signAws(credential: Credential, { method, url, body }: Signed): Promise<string[]> {
  const { aws } = credential
  if (!aws) throw new Error('egress: a request to AWS without AWS credentials')
  const service = new URL(url).pathname.includes('/hosts/sts.') || url.startsWith('https://sts.') ? 'sts' : 'bedrock'
  const signer = new AwsV4Signer({ ...aws, service, method, url, body: body as Uint8Array<ArrayBuffer> | null })
  const { headers } = await signer.sign()
  return ['authorization', 'x-amz-date', 'x-amz-security-token'].flatMap((name) => {
    const value = headers.get(name)
    return value === null ? [] : [name, value]
  })
}
