import type { Provider, ProviderId } from './provider.ts'
import { allProviders, providerOf } from './registry.ts'

export type KeyFormatCode = 'invalid_key_format' | 'key_too_long' | 'own_token' | 'masked_hint' | 'endpoint_not_allowed'

export type KeyFormatResult = { ok: true; key: string } | { ok: false; code: KeyFormatCode; message: string }

type Refusal = Extract<KeyFormatResult, { ok: false }>

const refuse = (message: string, code: KeyFormatCode = 'invalid_key_format'): Refusal => ({ ok: false, code, message })

// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is what it is for
const controls = /[\u0000-\u001f\u007f]/
const maskMarks = /[…•·*]|\.{3}/

const withoutOuterSpaces = (text: string): string => text.replace(/^ +| +$/g, '')

/** Things people paste around a secret, each with the advice that helps. Asked of the trimmed text, in this order. */
function pastedAround(text: string, { name, keyFormat }: Provider): Refusal | null {
  const start = keyFormat.requiredPrefix ? `: it starts with '${keyFormat.requiredPrefix}'` : ''
  if (/^bearer\b/i.test(text)) return refuse(`Paste the key alone, without "Bearer"${start}`)
  if (/^["'`]|["'`]$/.test(text)) return refuse('Remove the quotation marks around the key')
  if (/^(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=\s*[^=\s]/.test(text))
    return refuse('Paste the value after the equals sign, not the whole line')
  if (/^km_(?:live|test)_/.test(text))
    return refuse(`This is a Keymargin token. The field needs a key from ${name}`, 'own_token')
  if (/^[{[]/.test(text)) return refuse(`${name} keys are plain text, not JSON`)
  if (/^-----BEGIN/.test(text)) return refuse(`This is a private key file. The field needs a key from ${name}`)
  if (maskMarks.test(text)) return refuse('This is the masked form of a key. Paste the whole key', 'masked_hint')
  return null
}

/**
 * Oddities that no secret of any provider has, each with its own message. Spaces at both ends are fine and dropped. No
 * message holds any part of what was pasted (security §4c, items 1-47).
 */
export function checkSecretText(provider: Provider, pasted: string, maxLength: number): KeyFormatResult {
  const text = withoutOuterSpaces(pasted)
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
  return { ok: true, key: text }
}

/** A key that tells by how it starts that it belongs to another provider: names the field it belongs in (item 25). */
function belongsElsewhere(text: string, provider: Provider): Refusal | null {
  if (/^sk-ant-admin/.test(text))
    return refuse('This is an Anthropic admin key: it manages the organisation but cannot run models. Use an API key')
  const own = provider.keyFormat.publicPrefixes
  const owner = allProviders().find(({ id, keyFormat: { tellingPrefix } }) => {
    return id !== provider.id && tellingPrefix && !own.includes(tellingPrefix) && text.startsWith(tellingPrefix)
  })
  if (!owner || own.some((prefix) => prefix.length > 3 && text.startsWith(prefix))) return null
  return refuse(`This is a key of ${owner.name}. Save it under ${owner.name}, not under ${provider.name}`)
}

/**
 * Checks the text of a pasted key before anything is asked of the provider. Prefixes are hints only, and the one gate is
 * OpenRouter's: a provider that changes its prefix must not lock its users out (providers §0.2).
 */
export function checkKeyFormat(providerId: ProviderId, pasted: string): KeyFormatResult {
  const provider = providerOf(providerId)
  const { requiredPrefix, minLength, maxLength } = provider.keyFormat
  const checked = checkSecretText(provider, pasted, maxLength)
  if (!checked.ok) return checked
  const text = checked.key
  if (requiredPrefix && !text.startsWith(requiredPrefix))
    return refuse(`${provider.name} keys must start with '${requiredPrefix}'`)
  const elsewhere = requiredPrefix ? null : belongsElsewhere(text, provider)
  if (elsewhere) return elsewhere
  if (text.length < minLength) return refuse(`This key is too short for ${provider.name}. Copy the whole key`)
  const known = requiredPrefix ? /^[A-Za-z0-9_-]+$/ : /^[A-Za-z0-9_.~+/=:|-]+$/
  if (!known.test(text)) return refuse('The key contains characters that no key has. Copy it again from the provider')
  return { ok: true, key: text }
}

/** Secrets shorter than this get no hint: a few characters of a short secret are too much of it. */
const shortestHinted = 20

/** What may be shown of a saved key: its public prefix and the last four characters; nothing of a short one. */
export function maskKey(providerId: ProviderId, key: string): string {
  if (key.length < shortestHinted) return ''
  const shown = providerOf(providerId).keyFormat.publicPrefixes.find((prefix) => key.startsWith(prefix)) ?? ''
  return `${shown}…${key.slice(-4)}`
}
