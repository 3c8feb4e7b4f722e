/** Providers that a workspace may hold a key for. The registry below has one row per id. */
export type ProviderId = 'openrouter'

/** How the text of a key must look before anything is asked of the provider. Lengths in characters. */
interface KeyFormat {
  /** The documented public prefix, and the only gate by prefix there is (providers §0.2). */
  prefix: string
  /** Prefixes that tell nothing about the key and may be shown, longest first. */
  publicPrefixes: string[]
  prefixMessage: string
  minLength: number
  maxLength: number
}

export interface Provider {
  id: ProviderId
  name: string
  /** Origin and path in front of every route; an operator may replace it, a user never. */
  baseUrl: string
  keyFormat: KeyFormat
  /** The cheapest request that proves a key is alive. */
  probe: { method: 'GET'; path: string }
  routes: { chat: string; models: string; generation: string }
  dialect: 'openai-chat'
  /** `always`: usage closes every stream, asked for or not, so request bytes need no splicing (providers §1.6). */
  streamUsage: 'always'
  /** The provider's own bill may be believed: only ever true for hosts pinned here (security F10). */
  reportsCost: boolean
  /** Response header that names the generation. */
  generationHeader: string
}

const openrouter: Provider = {
  id: 'openrouter',
  name: 'OpenRouter',
  baseUrl: 'https://openrouter.ai/api/v1',
  keyFormat: {
    prefix: 'sk-or-',
    publicPrefixes: ['sk-or-v1-', 'sk-or-'],
    prefixMessage: "OpenRouter keys must start with 'sk-or-'",
    minLength: 20,
    maxLength: 512,
  },
  probe: { method: 'GET', path: '/key' },
  routes: { chat: '/chat/completions', models: '/models', generation: '/generation' },
  dialect: 'openai-chat',
  streamUsage: 'always',
  reportsCost: true,
  generationHeader: 'x-generation-id',
}

const registry: Readonly<Record<ProviderId, Provider>> = { openrouter }

export const providerIds = Object.keys(registry) as ProviderId[]

export const isProviderId = (text: string): text is ProviderId => Object.hasOwn(registry, text)

export const providerOf = (id: ProviderId): Provider => registry[id]

type KeyFormatCode = 'invalid_key_format' | 'key_too_long' | 'own_token' | 'masked_hint'

export type KeyFormatResult = { ok: true; key: string } | { ok: false; code: KeyFormatCode; message: string }

const refuse = (message: string, code: KeyFormatCode = 'invalid_key_format'): KeyFormatResult => ({
  ok: false,
  code,
  message,
})

// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is what it is for
const controls = /[\u0000-\u001f\u007f]/
const maskMarks = /[…•·*]|\.{3}/

/** Things people paste around a key, each with the advice that helps. Asked of the trimmed text, in this order. */
function pastedAround(text: string, provider: Provider): KeyFormatResult | null {
  const { prefix } = provider.keyFormat
  if (/^bearer\b/i.test(text)) return refuse(`Paste the key alone, without "Bearer": it starts with '${prefix}'`)
  if (/^["'`]|["'`]$/.test(text)) return refuse('Remove the quotation marks around the key')
  if (/^(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=/.test(text))
    return refuse('Paste the value after the equals sign, not the whole line')
  if (/^km_(?:live|test)_/.test(text))
    return refuse(`This is a Keymargin token. The field needs a key from ${provider.name}`, 'own_token')
  if (/^[{[]/.test(text)) return refuse(`${provider.name} keys are plain text, not JSON`)
  if (/^-----BEGIN/.test(text)) return refuse(`This is a private key file. The field needs a key from ${provider.name}`)
  if (maskMarks.test(text)) return refuse('This is the masked form of a key. Paste the whole key', 'masked_hint')
  return null
}

/**
 * Checks the text of a pasted key before anything is asked of the provider. Spaces at both ends are fine and dropped;
 * every other oddity has its own message. No message holds any part of what was pasted (security §4c, items 1-47).
 */
export function checkKeyFormat(providerId: ProviderId, pasted: string): KeyFormatResult {
  const provider = providerOf(providerId)
  const { prefix, prefixMessage, minLength, maxLength } = provider.keyFormat
  const text = pasted.replace(/^ +| +$/g, '')
  if (text === '') return refuse('Enter a key')
  if (text.length > maxLength)
    return refuse(`${provider.name} keys are at most ${maxLength} characters long`, 'key_too_long')
  if (controls.test(text))
    return refuse('The key contains a line break, a tab or another control character. Paste it again on one line')
  const advice = pastedAround(text, provider)
  if (advice) return advice
  if (/\s/.test(text)) return refuse('The key contains a space. Paste it again without spaces')
  if (!/^[\x21-\x7e]+$/.test(text))
    return refuse('The key contains characters that no key has. Copy it again from the provider')
  if (!text.startsWith(prefix)) return refuse(prefixMessage)
  if (text.length < minLength) return refuse(`This key is too short to be an ${provider.name} key. Copy the whole key`)
  if (!/^[A-Za-z0-9_-]+$/.test(text))
    return refuse('The key contains characters that no key has. Copy it again from the provider')
  return { ok: true, key: text }
}

/** Secrets shorter than this get no hint: a few characters of a short secret are too much of it. */
const shortestHinted = 20

/** What may be shown of a saved key: the documented public prefix and the last four characters; nothing of a short one. */
export function maskKey(providerId: ProviderId, key: string): string {
  if (key.length < shortestHinted) return ''
  const shown = providerOf(providerId).keyFormat.publicPrefixes.find((prefix) => key.startsWith(prefix)) ?? ''
  return `${shown}…${key.slice(-4)}`
}
