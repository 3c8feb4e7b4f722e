import { describe, expect, test } from 'vitest'
import { scrubSecrets } from '#app/platform/secret-patterns.ts'
import { checkKeyFormat, maskKey } from './key-format.ts'
import { allProviders } from './registry.ts'

const good = `sk-or-v1-${'0123456789abcdef'.repeat(4)}`
const message = (pasted: string) => {
  const result = checkKeyFormat('openrouter', pasted)
  return result.ok ? 'accepted' : result.message
}

test('a key is accepted, spaces at both ends dropped', () => {
  expect(checkKeyFormat('openrouter', good)).toEqual({ ok: true, key: good })
  expect(checkKeyFormat('openrouter', `  ${good} `)).toEqual({ ok: true, key: good })
})

test('the prefix message is exactly "OpenRouter keys must start with \'sk-or-\'"', () => {
  for (const pasted of [
    'sk-',
    'SK-OR-v1-0123456789abcdef',
    'sk-ant-api03-0123456789abcdef',
    'gsk_0123456789abcdef0123',
  ])
    expect(message(pasted)).toBe("OpenRouter keys must start with 'sk-or-'")
})

const oddities: [string, string][] = [
  ['empty', ''],
  ['spaces only', '    '],
  ['inner space', `${good.slice(0, 20)} ${good.slice(20)}`],
  ['tab', `${good}\t`],
  ['line feed', `${good}\n`],
  ['header injection', `${good}\r\nX-Evil: 1`],
  ['NUL', `${good}\0`],
  ['DEL', `${good}\u007f`],
  ['unit separator', `${good}\u001f`],
  ['emoji', `${good}🔑`],
  ['Cyrillic', good.replace('sk', 'ѕk')],
  ['full width', good.replace('sk-or', 'ｓｋ－ｏｒ')],
  ['zero-width joiner', `${good}\u200d`],
  ['right-to-left override', `\u202e${good}`],
  ['byte order mark', `\ufeff${good}`],
  ['no-break space', `\u00a0${good}`],
  ['lone surrogate', `${good}\ud800`],
  ['too short', 'sk-or-x'],
  ['too long', `sk-or-${'a'.repeat(507)}`],
  ['Bearer', `Bearer ${good}`],
  ['quoted', `"${good}"`],
  ['single quotes', `'${good}'`],
  ['export line', `export OPENROUTER_API_KEY=${good}`],
  ['assignment', `KEY=${good}`],
  ['our own token', `km_live_${'a'.repeat(38)}`],
  ['masked hint', 'sk-or-…cdef'],
  ['masked with dots', 'sk-or-v1-...cdef-0123456789'],
  ['masked with bullets', 'sk-or-v1-••••••••cdef'],
  ['JSON', `{"key":"${good}"}`],
  ['operator injection', '{ "not": "" }'],
  ['private key', '-----BEGIN PRIVATE KEY-----'],
  ['two keys', `${good},${good}`],
]

describe('every oddity has a message of its own kind and never the pasted text', () => {
  test.each(oddities)('%s', (_name, pasted) => {
    const said = message(pasted)
    expect(said).not.toBe('accepted')
    for (const part of [good.slice(9, 25), good.slice(-16)]) expect(said).not.toContain(part)
  })

  test('advice tells the cases apart', () => {
    const told = (name: string) => message(oddities.find(([label]) => label === name)?.[1] ?? '')
    expect(told('empty')).toBe('Enter a key')
    expect(told('Bearer')).toContain('without "Bearer"')
    expect(told('quoted')).toContain('quotation marks')
    expect(told('export line')).toContain('equals sign')
    expect(told('our own token')).toContain('Keymargin token')
    expect(told('masked hint')).toContain('masked form')
    expect(told('inner space')).toContain('space')
    expect(told('line feed')).toContain('line break')
    expect(checkKeyFormat('openrouter', `sk-or-${'a'.repeat(507)}`)).toMatchObject({ code: 'key_too_long' })
  })
})

test('a hint shows the public prefix and four characters, and nothing of a short secret', () => {
  expect(maskKey('openrouter', good)).toBe('sk-or-v1-…cdef')
  expect(maskKey('openrouter', 'sk-or-0123456789abcdef')).toBe('sk-or-…cdef')
  expect(maskKey('openrouter', 'sk-or-v1-0123456789')).toBe('')
  expect(checkKeyFormat('openrouter', maskKey('openrouter', good))).toMatchObject({ ok: false, code: 'masked_hint' })
})

describe('a key that tells whose it is goes to its own field (security §4c, item 25)', () => {
  const text = (prefix: string) => `${prefix}abcdefghijklmnopqrstuvwxyz0123456789`
  test.each([
    ['openai', 'sk-ant-api03-', 'Anthropic'],
    ['openai', 'sk-or-v1-', 'OpenRouter'],
    ['anthropic', 'sk-proj-', 'OpenAI'],
    ['crof', 'sk-ant-api03-', 'Anthropic'],
    ['deepseek', 'sk-or-v1-', 'OpenRouter'],
    ['groq', 'xai-', 'xAI'],
    ['google', 'gsk_', 'Groq'],
    ['openai', 'AKIA', 'AWS Bedrock'],
    ['together', 'nvapi-', 'NVIDIA NIM'],
  ] as const)('in the field of %s, %s… is of %s', (field, prefix, owner) => {
    const result = checkKeyFormat(field, text(prefix))
    expect(result).toMatchObject({ ok: false, code: 'invalid_key_format' })
    expect(result.ok ? '' : result.message).toContain(`This is a key of ${owner}. Save it under ${owner}`)
    expect(JSON.stringify(result)).not.toContain('abcdefghijkl')
  })

  test('a prefix that nobody knows is no reason to refuse a key: providers change them', () => {
    for (const [id, key] of [
      ['openai', text('sk-something-new-')],
      ['google', text('AQ.')],
      ['anthropic', text('claude_')],
      ['morpheus', `sk-abcdef.${'0f'.repeat(32)}`],
      ['openai-responses', text('sk-proj-')],
      ['deepseek', text('sk-')],
      ['azure', 'c29tZSBrZXkgb2YgYXp1cmU='],
    ] as const)
      expect(checkKeyFormat(id, key)).toEqual({ ok: true, key })
  })

  test('an admin key of Anthropic is refused everywhere', () => {
    for (const id of ['anthropic', 'openai'] as const)
      expect(checkKeyFormat(id, text('sk-ant-admin01-'))).toMatchObject({
        ok: false,
        message: expect.stringContaining('admin key'),
      })
  })
})

test('keys that are known by how they start are scrubbed from any text', () => {
  const rest = 'Ab0'.repeat(14)
  for (const { keyFormat } of allProviders())
    for (const prefix of keyFormat.publicPrefixes)
      expect(scrubSecrets(`Incorrect API key provided: ${prefix}${rest}.`)).not.toContain(rest)
})
