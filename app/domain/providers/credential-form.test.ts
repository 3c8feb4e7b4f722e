import { describe, expect, test } from 'vitest'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'
import { checkCredential } from './check-credential.ts'
import { credentialFields, credentialInputs, credentialOfForm } from './credential-form.ts'
import { type ProviderId, providerIds } from './provider.ts'

const names = (id: ProviderId, replacing = false) => credentialFields(id, replacing).map((field) => field.name)

describe('the inputs of a credential', () => {
  test.each<[ProviderId, string[]]>([
    ['openai', ['key']],
    ['openrouter', ['key', 'managementKey']],
    ['bedrock', ['accessKeyId', 'secretAccessKey', 'region', 'sessionToken']],
    ['azure', ['endpoint', 'apiKey', 'deploymentName', 'apiVersion']],
    ['azure-responses', ['endpoint', 'apiKey', 'apiVersion']],
  ])('of %s are its own', (id, inputs) => {
    expect(names(id)).toEqual(inputs)
  })

  test.each([...providerIds])('of %s are known to the form, and its secrets are hidden', (id) => {
    for (const field of credentialFields(id, false)) {
      expect(credentialInputs).toContain(field.name)
      expect(field.secret).toBe(!['region', 'endpoint', 'deploymentName', 'apiVersion'].includes(field.name))
    }
  })

  test.each([...providerIds])('of %s that are required are exactly those whose absence is refused', (id) => {
    const text = sandboxCredential(id)
    const whole = text.startsWith('{') ? JSON.parse(text) : { key: text }
    for (const { name, required } of credentialFields(id, false)) {
      const checked = checkCredential(id, credentialOfForm(id, { ...whole, [name]: '' }))
      expect(checked.ok, name).toBe(!required)
    }
  })

  test('may both be left empty where one of two saved keys is replaced', () => {
    expect(credentialFields('openrouter', true).map((field) => field.required)).toEqual([false, false])
    expect(credentialFields('openai', true).map((field) => field.required)).toEqual([true])
  })
})

describe('what a form gave', () => {
  test.each<[string, ProviderId, Parameters<typeof credentialOfForm>[1], string | Record<string, string>]>([
    ['a key', 'groq', { key: 'k' }, 'k'],
    ['a key and nothing in the second input', 'openrouter', { key: 'k', managementKey: '  ' }, 'k'],
    ['both keys', 'openrouter', { key: 'k', managementKey: 'm' }, { apiKey: 'k', managementKey: 'm' }],
    ['the second key alone', 'openrouter', { key: '', managementKey: 'm' }, { apiKey: '', managementKey: 'm' }],
    ['fields', 'bedrock', { accessKeyId: 'a', region: 'r' }, { accessKeyId: 'a', region: 'r' }],
    ['nothing', 'openai', {}, ''],
  ])('%s', (_what, id, given, credential) => {
    expect(credentialOfForm(id, given)).toEqual(credential)
  })

  test.each<[ProviderId, Parameters<typeof credentialOfForm>[1]]>([
    ['openai', { key: 'sk-proj-0123456789abcdefghij', region: 'us-east-1' }],
    ['openai', { key: 'sk-proj-0123456789abcdefghij', managementKey: 'x' }],
    ['bedrock', { key: 'k', accessKeyId: 'a', secretAccessKey: 's', region: 'us-east-1' }],
  ])('of another kind is refused for %s, not dropped', (id, given) => {
    expect(checkCredential(id, credentialOfForm(id, given))).toMatchObject({ ok: false, field: 'credential' })
  })
})
