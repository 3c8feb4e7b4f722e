/** The list of provider keys on the Billing page: what each form may do, who may, and what it never gives back. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { newId } from '#app/platform/ids.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'
import { sandboxKey } from '#test/sandbox/providers/keys.ts'
import { type Fields, MARK, type Place, useBillingVisits } from './billing-visits.ts'
import { databaseHash } from './database-hash.ts'

describe('the list of keys', () => {
  const db = useDatabase()
  const { makePlace, post, send, page, refused } = useBillingVisits(db)

  const keysOf = async ({ workspaceId }: Place) =>
    (
      await db.owner.query(
        `SELECT id::text, provider, hint, enabled, name, position, version, allowed_models, allowed_surfaces
           FROM provider_keys WHERE workspace_id = $1 ORDER BY provider, position`,
        [workspaceId],
      )
    ).rows

  const saveKey = (place: Place, provider: ProviderId, key: string, more: Record<string, string> = {}) =>
    send(place, { intent: 'save-key', provider, key, ...more })

  describe('adding', () => {
    it('keeps several keys of a provider, in the order they came in', async () => {
      const place = await makePlace()
      const keys = [sandboxKey('openai', 'live', 'one'), sandboxKey('openai', 'live', 'two')] as const
      expect(await saveKey(place, 'openai', keys[0], { name: 'production' })).toMatchObject({ status: 200, ok: true })
      expect(await saveKey(place, 'openai', keys[1])).toMatchObject({ status: 200, ok: true })
      expect(await keysOf(place)).toMatchObject([
        { provider: 'openai', name: 'production', position: 0, hint: `sk-proj-…${keys[0].slice(-4)}` },
        { provider: 'openai', name: '', position: 1, hint: `sk-proj-…${keys[1].slice(-4)}` },
      ])
      const html = await page(place)
      expect(html).toContain('production')
      for (const key of keys) expect(html).not.toContain(key)
    })

    it('takes a credential as inputs of its own, and as pasted JSON', async () => {
      const place = await makePlace()
      const fields = JSON.parse(sandboxCredential('bedrock')) as Record<string, string>
      const typed = await send(place, { intent: 'save-key', provider: 'bedrock', sessionToken: '', ...fields })
      expect(typed).toMatchObject({ status: 200, ok: true })
      expect(typed.text).not.toContain(fields.secretAccessKey)
      const json = sandboxCredential('azure')
      const pasted = await send(place, { intent: 'save-key-json', provider: 'azure', json })
      expect(pasted).toMatchObject({ status: 200, ok: true })
      expect(pasted.text).not.toContain(JSON.parse(json).apiKey)
      expect((await keysOf(place)).map((key) => key.provider)).toEqual(['azure', 'bedrock'])
    })

    it('says right after a save which models in use the key cannot call', async () => {
      const place = await makePlace()
      const used = ['gpt-5-mini', 'some-author/model-nobody-has']
      const calls = used.map((model) => makeCall(place.workspaceId, new Date(), { model }))
      await recordAll(await Promise.all(calls))
      const saved = await saveKey(place, 'openai', sandboxKey('openai'))
      expect(saved.coverage).toMatchObject({
        tone: 'yellow',
        sentence: expect.stringContaining(
          '1 of the 2 models you used in the last 30 days is not available to this key',
        ),
        rows: [{ model: 'some-author/model-nobody-has', calls: '1' }],
      })
      const [key] = await keysOf(place)
      expect(await page(place, `?coverage=${key.id}`)).toContain('some-author/model-nobody-has')
    })

    it('OpenRouter’s management key may be added without pasting the API key again', async () => {
      const place = await makePlace('enterprise')
      const key = `sk-or-v1-${'ab12'.repeat(16)}`
      await saveKey(place, 'openrouter', key, { managementKey: '' })
      const [saved] = await keysOf(place)
      const more = { keyId: saved.id, managementKey: `sk-or-v1-mgmt-${'cd34'.repeat(14)}` }
      expect(await saveKey(place, 'openrouter', '', more)).toMatchObject({ status: 200, ok: true })
      expect(await keysOf(place)).toMatchObject([{ id: saved.id, version: 2, hint: saved.hint }])
    })
  })

  describe('refuses at the field, echoing nothing:', () => {
    const azure = { provider: 'azure', endpoint: 'https://r.openai.azure.com', apiVersion: '2024-10-21' }
    it.each<[string, Record<string, string>, string]>([
      [
        'an endpoint elsewhere',
        { ...azure, endpoint: `https://${MARK}.evil.example`, apiKey: MARK, deploymentName: 'd' },
        'credential.endpoint',
      ],
      [
        'no deployment',
        { ...azure, apiKey: `${MARK}0123456789abcdef`, deploymentName: '' },
        'credential.deploymentName',
      ],
      [
        'a version that is none',
        { ...azure, apiKey: `${MARK}0123456789abcdef`, deploymentName: 'd', apiVersion: MARK },
        'credential.apiVersion',
      ],
      [
        'no region',
        {
          provider: 'bedrock',
          accessKeyId: 'AKIASBXLIVE01234',
          secretAccessKey: `${MARK}${'a'.repeat(26)}`,
          region: '',
        },
        'credential.region',
      ],
      [
        'id and secret swapped',
        {
          provider: 'bedrock',
          accessKeyId: `${MARK}${'a'.repeat(26)}`,
          secretAccessKey: 'AKIASBXLIVE01234',
          region: 'us-east-1',
        },
        'credential.accessKeyId',
      ],
      [
        'inputs of another kind',
        { provider: 'openai', key: `sk-proj-${MARK}0123456789`, region: 'us-east-1' },
        'credential',
      ],
      [
        'a key in the name',
        { provider: 'openai', key: 'sk-proj-sbxlive0123456789', name: `sk-proj-${MARK}0123456789abcdef01234567` },
        'name',
      ],
      ['another provider’s key', { provider: 'openai', key: `sk-ant-api03-${MARK}0123456789` }, 'key'],
      [
        'a key that the provider refuses',
        { provider: 'openai', key: `${sandboxKey('openai', 'revoked')}${MARK}` },
        'key',
      ],
    ])('%s', async (_what, fields, field) => {
      expect(await refused(await makePlace(), { intent: 'save-key', ...fields })).toMatchObject({ status: 400, field })
    })

    it.each([
      ['no JSON', `${MARK}`, 'credential'],
      ['JSON cut off', `{"endpoint":"https://r.openai.azure.com","apiKey":"${MARK}`, 'credential'],
      ['a member of another kind', `{"region":"${MARK}"}`, 'credential'],
      ['a member twice', `{"endpoint":"a","endpoint":"${MARK}"}`, 'credential.endpoint'],
    ])('pasted: %s', async (_what, json, field) => {
      const fields = { intent: 'save-key-json', provider: 'azure', json }
      expect(await refused(await makePlace(), fields)).toMatchObject({ status: 400, field })
    })
  })

  describe('a saved key', () => {
    let place: Place
    let ids: string[]

    beforeAll(async () => {
      place = await makePlace()
      for (const seed of ['first', 'second', 'third'])
        await saveKey(place, 'openai', sandboxKey('openai', 'live', seed))
      ids = (await keysOf(place)).map((key) => key.id)
    })

    it('moves up and down among its provider’s keys', async () => {
      const [first, second, third] = ids as [string, string, string]
      expect(await send(place, { intent: 'move-key', keyId: third, position: '0' })).toMatchObject({ ok: true })
      expect((await keysOf(place)).map((key) => key.id)).toEqual([third, first, second])
      await send(place, { intent: 'move-key', keyId: third, position: '2' })
      expect((await keysOf(place)).map((key) => key.id)).toEqual([first, second, third])
    })

    it('is switched off after the page said what that changes in money, and on again', async () => {
      const [keyId = ''] = ids
      const asked = await page(place, `?off=${keyId}`)
      expect(asked).toContain('Switch the OpenAI key off?')
      expect(asked).toContain('calls go to your next OpenAI key')
      expect(asked).toContain('nothing changes on our invoice')
      expect(asked).toContain('works again once you switch it on')
      await send(place, { intent: 'switch-key', keyId, to: 'off' })
      expect((await keysOf(place))[0]).toMatchObject({ id: keyId, enabled: false })
      expect(await page(place)).toContain('This key is switched off')
      expect(await page(place, `?off=${keyId}`)).not.toContain('key off?')
      expect(await page(place, `?remove=${keyId}`)).toContain('the key is switched off, so no call uses it')
      await send(place, { intent: 'switch-key', keyId, to: 'on' })
      expect((await keysOf(place))[0]).toMatchObject({ id: keyId, enabled: true })
    })

    it('is named, and held to models and surfaces: chosen, pasted, or none', async () => {
      const [keyId = ''] = ids
      const limits = {
        name: 'batch',
        models: 'gpt-5-mini, my/pasted-model\n gpt-5-mini',
        surfaces: 'agent_run document_ocr',
      }
      expect(await send(place, { intent: 'limit-key', keyId, ...limits })).toMatchObject({ ok: true })
      expect((await keysOf(place))[0]).toMatchObject({
        name: 'batch',
        allowed_models: ['gpt-5-mini', 'my/pasted-model'],
        allowed_surfaces: ['agent_run', 'document_ocr'],
      })
      expect(await page(place)).toContain('only gpt-5-mini, my/pasted-model')
      expect(await page(place, `?limits=${keyId}`)).toContain('my/pasted-model')
      await send(place, { intent: 'limit-key', keyId, name: '', models: '', surfaces: '' })
      expect((await keysOf(place))[0]).toMatchObject({ name: '', allowed_models: [], allowed_surfaces: [] })
    })

    it('is not limited to what does not exist, nor named like a key', async () => {
      const fields = { intent: 'limit-key', keyId: ids[0] ?? '', name: '', models: '', surfaces: '' }
      expect(await refused(place, { ...fields, surfaces: MARK })).toMatchObject({
        status: 400,
        field: 'allowedSurfaces',
      })
      expect(await refused(place, { ...fields, models: `${MARK}é` })).toMatchObject({
        status: 400,
        field: 'allowedModels',
      })
      const name = `sk-proj-${MARK}0123456789abcdef01234567`
      expect(await refused(place, { ...fields, name })).toMatchObject({ status: 400, field: 'name' })
    })

    it('is removed after the page said what that changes in money', async () => {
      const [keyId = ''] = ids
      const asked = await page(place, `?remove=${keyId}`)
      expect(asked).toContain('calls go to your next OpenAI key')
      expect(asked).toContain('nothing changes on our invoice')
      expect(await send(place, { intent: 'remove-key', keyId })).toMatchObject({ status: 200, ok: true })
      expect((await keysOf(place)).map((key) => key.id)).not.toContain(keyId)
    })

    it('of another workspace answers like one that does not exist', async () => {
      const foreign = await makePlace()
      const before = await databaseHash(db.owner)
      for (const keyId of [ids[1] ?? '', newId(), 'no id'])
        for (const fields of [
          { intent: 'move-key', position: '0' },
          { intent: 'switch-key', to: 'off' },
          { intent: 'limit-key', name: 'x', models: '', surfaces: '' },
          { intent: 'remove-key' },
        ] as Fields[]) {
          const response = await post(foreign, { keyId, ...fields })
          expect(response.status).toBe(404)
        }
      expect(await databaseHash(db.owner)).toBe(before)
    })

    it('is shown to a member by its hint and health, with no form and no button; every change is refused', async () => {
      const html = await page(
        place,
        `?limits=${ids[1]}&replace=${ids[1]}&remove=${ids[1]}&off=${ids[1]}&coverage=${ids[1]}&add=openai`,
        'member',
      )
      const main = html.slice(html.indexOf('<main'), html.indexOf('</main>'))
      expect(main).toContain('sk-proj-…')
      expect(main).toContain('Last success')
      expect(main).not.toMatch(/<form|<input|<button/)
      const before = await databaseHash(db.owner)
      const [, keyId = ''] = ids
      for (const fields of [
        { intent: 'save-key', provider: 'openai', key: sandboxKey('openai', 'live', 'x') },
        { intent: 'save-key-json', provider: 'azure', json: '{}' },
        { intent: 'move-key', keyId, position: '0' },
        { intent: 'switch-key', keyId, to: 'off' },
        { intent: 'limit-key', keyId, name: '', models: '', surfaces: '' },
        { intent: 'remove-key', keyId },
        { intent: 'set-never-platform', to: 'on' },
        { intent: 'set-low-balance', lowBalanceUsd: '9' },
        { intent: 'allow-fallback', surface: 'agent_run', dailyCapUsd: '9' },
        { intent: 'forbid-fallback', surface: 'agent_run' },
      ] as Fields[])
        expect((await post(place, fields, 'member')).status, fields.intent).toBe(403)
      expect(await databaseHash(db.owner)).toBe(before)
    })
  })
})
