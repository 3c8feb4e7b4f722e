/** The model that the console's programs name is one that this workspace can call now: pasted, it works. */
import { describe, expect, test } from 'vitest'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { findExampleModel } from '#app/domain/tokens/example-model.server.ts'
import { setNeverPlatformKey } from '#app/domain/workspaces/change-gateway-settings.server.ts'
import { type Holder, usePreset } from '#test/preset.ts'

const preset = usePreset()

const modelOf = async ({ owner }: Holder) => (await findExampleModel(owner)).model

async function listed({ token }: Holder): Promise<string[]> {
  const response = await fetch(`${preset.gateway.origin}/v1/models`, { headers: { authorization: `Bearer ${token}` } })
  const { data } = (await response.json()) as { data: { id: string }[] }
  return data.map(({ id }) => id)
}

async function expectItWorks(holder: Holder): Promise<string> {
  const model = (await modelOf(holder)) ?? ''
  expect(await listed(holder)).toContain(model)
  const { status, code } = await preset.ask(holder, model)
  expect([model, status, code]).toEqual([model, 200, null])
  return model
}

describe('the model that an example names', () => {
  test('where a key is required and none is saved there is none, as GET /v1/models lists none', async () => {
    const holder = await preset.join('pass-through')
    expect(await modelOf(holder)).toBeNull()
    expect(await listed(holder)).toEqual([])
    await preset.save(holder, 'openrouter')
    await expectItWorks(holder)
  })

  test('on the platform key it is one of the catalogue’s balanced tier', async () => {
    expect(await expectItWorks(await preset.join('enterprise'))).toBe('anthropic/claude-sonnet-4.6')
  })

  test.each<ProviderId>(['groq', 'anthropic', 'azure', 'bedrock'])(
    'of a workspace that pays %s itself it is a chat model of that key',
    async (provider) => {
      const holder = await preset.join('every-provider')
      await setNeverPlatformKey(holder.owner, { on: true })
      expect(await modelOf(holder)).toBeNull()
      await preset.save(holder, provider)
      await expectItWorks(holder)
    },
  )

  test('of the only key there is no model is promised that its provider does not list', async () => {
    const holder = await preset.join('every-provider')
    await setNeverPlatformKey(holder.owner, { on: true })
    await preset.save(holder, 'groq')
    expect(await listed(holder)).toEqual(['meta-llama/llama-4-maverick', 'openai/gpt-oss-120b'])
    const nameless = await preset.join('every-provider')
    await setNeverPlatformKey(nameless.owner, { on: true })
    await preset.save(nameless, 'azure-responses')
    expect(await findExampleModel(nameless.owner)).toEqual({ model: null, hasKey: true })
  })

  test('a key that other surfaces alone may use, or that is switched off, serves no example', async () => {
    const holder = await preset.join('pass-through')
    const keyId = await preset.save(holder, 'openrouter')
    const set = (column: string) => preset.db.owner.query(`UPDATE provider_keys SET ${column} WHERE id = $1`, [keyId])
    await set(`allowed_surfaces = '{document_ocr}'`)
    expect(await modelOf(holder)).toBeNull()
    await set(`allowed_surfaces = '{}', enabled = false`)
    expect(await modelOf(holder)).toBeNull()
    await set('enabled = true')
    expect(await modelOf(holder)).not.toBeNull()
  })
})
