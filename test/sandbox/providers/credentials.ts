import type { ProviderId } from '#app/domain/providers/provider.ts'
import { sandboxAccessKeyId, sandboxAwsSecret, sandboxKey, sandboxSessionToken } from './keys.ts'

/** A credential as a person would paste it: a key, or JSON. `word` says how it stands at the sandbox. */
export function sandboxCredential(provider: ProviderId, word = 'live', change: Record<string, string> = {}): string {
  if (provider === 'bedrock') {
    const accessKeyId = sandboxAccessKeyId(word, word === 'temporary')
    const secretAccessKey = sandboxAwsSecret(accessKeyId)
    const token = word === 'temporary' ? { sessionToken: sandboxSessionToken(accessKeyId) } : {}
    return JSON.stringify({ accessKeyId, secretAccessKey, region: 'us-east-1', ...token, ...change })
  }
  const azure = {
    endpoint: 'https://sandbox-resource.openai.azure.com',
    apiKey: sandboxKey(provider, word),
    apiVersion: '2024-10-21',
  }
  if (provider === 'azure') return JSON.stringify({ ...azure, deploymentName: 'prod-gpt5', ...change })
  if (provider === 'azure-responses') return JSON.stringify({ ...azure, ...change })
  return sandboxKey(provider, word)
}
