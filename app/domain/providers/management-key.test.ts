import { describe, expect, it } from 'vitest'
import { checkCredential } from './check-credential.ts'
import { parseCredential } from './parse-credential.ts'

const MARK = 'Zq7pLm2xVtMARK'

/** Refused, with what was pasted nowhere in the answer. */
function refused(id: 'openrouter', input: string | Record<string, unknown>) {
  const result = checkCredential(id, input)
  expect(result.ok).toBe(false)
  for (const part of [MARK, 'abababab', 'cdcdcdcd']) expect(JSON.stringify(result)).not.toContain(part)
  return result as Extract<typeof result, { ok: false }>
}

describe('OpenRouter’s second key', () => {
  const apiKey = `sk-or-v1-${'ab'.repeat(32)}`
  const managementKey = `sk-or-v1-${'cd'.repeat(32)}`

  it('is sealed with the first, which alone is sealed as it is', () => {
    expect(checkCredential('openrouter', { apiKey, managementKey: '' })).toMatchObject({ ok: true, sealedText: apiKey })
    const both = checkCredential('openrouter', { apiKey, managementKey })
    expect(both).toMatchObject({ ok: true, credential: { apiKey, managementKey, secrets: [apiKey, managementKey] } })
    if (both.ok) expect(parseCredential('openrouter', both.sealedText)).toEqual(both.credential)
  })

  it('has an error of its own', () => {
    expect(refused('openrouter', { apiKey, managementKey: 'sk-ant-x' }).field).toBe('credential.managementKey')
    expect(refused('openrouter', { apiKey, managementKey: apiKey }).message).toMatch(/API key again/)
    expect(refused('openrouter', { apiKey: '', managementKey }).field).toBe('credential.apiKey')
    expect(refused('openrouter', MARK).field).toBe('key')
  })
})
