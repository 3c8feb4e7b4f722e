import type { CredentialFields } from './credential.ts'
import type { KeyFormatCode } from './key-format.ts'
import type { Provider } from './provider.ts'

interface JsonRefusal {
  ok: false
  code: KeyFormatCode
  field: string
  message: string
}

/** Pasted credentials are a few hundred characters; a session token adds two thousand. In characters. */
const longestJson = 16_384

const refuse = (message: string, field = 'credential', code: KeyFormatCode = 'invalid_key_format'): JsonRefusal => ({
  ok: false,
  code,
  field,
  message,
})

/** Texts that are no JSON, told apart by what they most likely are (security §4c, items 48-50, 60, 62, 63). */
function whatItIs(text: string, provider: Provider, names: readonly string[]): JsonRefusal | null {
  const example = `a JSON object with ${names.join(', ')}`
  if (text.trim() === '') return refuse(`Paste the credential: ${example}`)
  if (text.length > longestJson) return refuse('This is too long to be a credential', 'credential', 'key_too_long')
  if (text.startsWith('\ufeff'))
    return refuse('The text starts with an invisible byte order mark. Copy it from a plain text editor')
  if (/^\s*-----BEGIN/.test(text)) return refuse(`This is a private key file. ${provider.name} needs ${example}`)
  if (/^\s*km_(?:live|test)_/.test(text))
    return refuse(`This is a Keymargin token. ${provider.name} needs ${example}`, 'credential', 'own_token')
  if (/^\s*\{\s*'/.test(text)) return refuse('JSON needs double quotes ("), not single ones')
  if (/[“”„«»]/.test(text)) return refuse('JSON needs straight quotes ("), not typographic ones')
  if (!/^\s*\{/.test(text)) return refuse(`This is no JSON. ${provider.name} needs ${example}`)
  if (!/\}\s*$/.test(text)) return refuse('The JSON is cut off: copy it up to and with the closing }')
  if (/,\s*\}\s*$/.test(text)) return refuse('Remove the comma before the closing }')
  return null
}

/** Names of the members of a flat object, also those given twice, as they stand. Strings are skipped as a whole. */
function memberNames(text: string): string[] {
  const names: string[] = []
  for (const [, name, colon] of text.matchAll(/"((?:[^"\\]|\\.)*)"\s*(:?)/g))
    if (colon) names.push(JSON.parse(`"${name}"`) as string)
  return names
}

/**
 * Reads a pasted JSON credential into its fields. Only a flat object of known names, each once, each text: the parser's own
 * leniency (last of two wins, `__proto__`) must not decide which key is saved.
 */
export function readCredentialJson(
  provider: Provider,
  text: string,
  names: readonly string[],
): CredentialFields | JsonRefusal {
  const odd = whatItIs(text, provider, names)
  if (odd) return odd
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return refuse('This is no valid JSON. Check quotes, commas and braces')
  }
  const object = parsed as Record<string, unknown>
  const keys = Object.keys(object)
  const nested = keys.find((key) => names.includes(key) && typeof object[key] !== 'string')
  if (nested) return refuse(`${nested} must be text in double quotes`, `credential.${nested}`)
  if (keys.some((key) => !names.includes(key)))
    return refuse(`The JSON has a field that is not expected. It may hold ${names.join(', ')}`)
  const given = memberNames(text)
  const twice = given.find((name, index) => given.indexOf(name) !== index)
  if (twice) return refuse(`${twice} is given twice`, `credential.${twice}`)
  return Object.fromEntries(keys.map((key) => [key, object[key] as string]))
}
