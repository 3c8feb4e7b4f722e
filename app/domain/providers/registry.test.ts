import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Credential } from './credential.ts'
import { isProviderId, providerIds } from './provider.ts'
import { allProviders, providerNamed, providerOf } from './registry.ts'

test('every id has its row, in order, and no two share a name', () => {
  expect(allProviders().map((row) => row.id)).toEqual([...providerIds])
  const names = allProviders().flatMap((row) => row.callerNames)
  expect(new Set(names).size).toBe(names.length)
  expect(isProviderId('openapi')).toBe(false)
})

test('a caller may name a provider by every documented value, in lower case and exactly', () => {
  const documented = { openai: 'openai', anthropic: 'anthropic', aws: 'bedrock', openrouter: 'openrouter' }
  const more = { chutes: 'chutes', akash: 'akash', nvidia: 'nvidia', google: 'google', crofai: 'crof', mor: 'morpheus' }
  for (const [value, id] of Object.entries({ ...documented, ...more })) expect(providerNamed(value)).toBe(id)
  for (const id of providerIds) expect(providerNamed(id)).toBe(id)
  for (const value of ['OpenAI', ' openai', 'openai ', 'open-ai', '', '__proto__', 'constructor', 'openai\r\nx: 1'])
    expect(providerNamed(value)).toBeNull()
})

test('keys go to https hosts that are written down, or to a credential’s own', () => {
  const hosts = allProviders().flatMap((row) => {
    const places = [row.models.at.base, row.balance?.at.base, row.proof.by === 'request' ? row.proof.at.base : null]
    return [row.baseUrl, ...places.filter((base) => base !== null && base !== undefined)]
  })
  for (const base of hosts) expect(base).toMatch(/^(?:https:\/\/[a-z0-9.{}-]+(?:\/[a-z0-9/]*)?|\{endpoint\})$/)
})

test('only OpenRouter’s own bill is believed, and only its keys are held to a prefix', () => {
  const ids = (rows: { id: string }[]) => rows.map((row) => row.id)
  expect(ids(allProviders().filter((row) => row.reportsCost))).toEqual(['openrouter'])
  expect(ids(allProviders().filter((row) => row.keyFormat.requiredPrefix !== null))).toEqual(['openrouter'])
})

const azure = { origin: 'https://r.openai.azure.com', deploymentName: 'gpt 5/x', apiVersion: '2024-10-21' }
const credential = { provider: 'azure', apiKey: 'k', secrets: ['k'], azure } as Credential
const pathOf = (
  id: 'azure' | 'bedrock' | 'openai' | 'openai-responses',
  endpoint: 'chat' | 'responses',
  model: string,
) => providerOf(id).routes[endpoint]?.path({ model, credential, streamed: true })

test('what stands in a path is encoded: neither a model nor a deployment leads elsewhere', () => {
  expect(pathOf('azure', 'chat', 'x')).toBe('/openai/deployments/gpt%205%2Fx/chat/completions?api-version=2024-10-21')
  expect(pathOf('bedrock', 'chat', '../../x?y=1#z')).toBe('/model/..%2F..%2Fx%3Fy%3D1%23z/converse-stream')
  expect(pathOf('openai', 'chat', '../models')).toBe('/chat/completions')
  expect(pathOf('openai-responses', 'chat', 'gpt-5')).toBe('/responses')
})

test('the settings that replace base URLs are all written down', () => {
  const text = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
  for (const id of providerIds) expect(text).toContain(`\`${id.toUpperCase().replaceAll('-', '_')}\``)
})

const facts = '../shared/facts/providers.json'
const readFacts = () => {
  try {
    return JSON.parse(readFileSync(facts, 'utf8')).providers as {
      id: string
      baseUrl: string
      byokHeaderValues: string[]
    }[]
  } catch {
    return null
  }
}

test.skipIf(readFacts() === null)('the registry agrees with the research it was made from', () => {
  for (const fact of readFacts() ?? []) {
    const row = providerOf(fact.id as 'openai')
    for (const value of fact.byokHeaderValues) expect(providerNamed(value)).toBe(fact.id)
    if (!fact.baseUrl.startsWith('{endpoint}')) expect(row.baseUrl).toBe(fact.baseUrl)
  }
  expect(
    readFacts()
      ?.map((fact) => fact.id)
      .sort(),
  ).toEqual([...providerIds].sort())
})
