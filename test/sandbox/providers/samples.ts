import { type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import type { SandboxKey } from '#app/platform/env.server.ts'
import { sandboxCredential } from './credentials.ts'
import { sandboxKey } from './keys.ts'

/** How a key may stand, and what comes of saving it. */
const meanings = {
  live: 'valid',
  limited: 'valid, with limits: it may call models, and not be asked about itself',
  walled: 'valid, with limits: its network rules refuse calls from here',
  empty: 'valid, but out of credit: its calls are refused',
  revoked: 'revoked at the provider: not saved',
} as const

type Standing = keyof typeof meanings

const anywhere = { live: 'live', empty: 'empty', revoked: 'revoked' }
/** AWS and Azure bill afterwards: no key of theirs runs out of credit. */
const billed = { live: 'live', revoked: 'revoked' }

/** Under which word the sandbox knows a key that stands so, where a provider differs from the others. */
const words: Partial<Record<ProviderId, Partial<Record<Standing, string>>>> = {
  openai: { ...anywhere, limited: 'restricted' },
  'openai-responses': { ...anywhere, limited: 'restricted' },
  anthropic: { ...anywhere, limited: 'restricted' },
  groq: { ...anywhere, limited: 'restricted' },
  google: { ...anywhere, limited: 'disabled' },
  bedrock: { ...billed, limited: 'restricted' },
  azure: { ...billed, walled: 'firewalled' },
  'azure-responses': { ...billed, walled: 'firewalled' },
}

/** OpenRouter's sandbox takes any key; a word in it says how it stands. */
const openrouterSamples: [Standing, string][] = [
  ['live', 'sk-or-v1-any-text-of-your-own'],
  ['empty', 'sk-or-v1-empty-and-any-text'],
  ['revoked', 'sk-or-v1-revoked-and-any-text'],
]

function credential(provider: ProviderId, word: string): string {
  // other keys than those that the demo has saved already
  if (provider === 'bedrock') return sandboxCredential(provider, word === 'live' ? 'yours' : word)
  const apiKey = sandboxKey(provider, word, 'yours')
  return provider.startsWith('azure') ? sandboxCredential(provider, word, { apiKey }) : apiKey
}

/** What may be pasted as a credential of a provider, by how it stands there. */
export function samplesOf(provider: ProviderId): [standing: Standing, text: string][] {
  if (provider === 'openrouter') return openrouterSamples
  const known: Partial<Record<Standing, string>> = words[provider] ?? anywhere
  return (Object.keys(meanings) as Standing[]).flatMap((standing) => {
    const word = known[standing]
    return word ? [[standing, credential(provider, word)]] : []
  })
}

/** All of them, as the console shows them beside its fields (KEYMARGIN_SANDBOX_KEYS). */
export const sampleKeys = (): Record<string, SandboxKey[]> =>
  Object.fromEntries(
    providerIds.map((id) => [id, samplesOf(id).map(([standing, text]) => ({ text, means: meanings[standing] }))]),
  )
