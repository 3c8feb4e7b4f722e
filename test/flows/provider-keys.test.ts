/** Keys after they were saved: several of a provider, what they are held to, and what is known of them. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { enqueueKeyJobs } from '#app/domain/vault/enqueue-key-jobs.server.ts'
import { flushKeyHealth, forgetKeyHealth, noteKeyHealth } from '#app/domain/vault/note-key-health.server.ts'
import { forgetOpenKeys, openProviderKey } from '#app/domain/vault/open-provider-key.server.ts'
import { purgeWorkspaceKeys } from '#app/domain/vault/purge-workspace-keys.server.ts'
import { listProviderKeys, listPurgeCertificates } from '#app/domain/vault/queries.server.ts'
import { refreshKeyModels } from '#app/domain/vault/refresh-key-models.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { reprobeProviderKey } from '#app/domain/vault/reprobe-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { setProviderKey } from '#app/domain/vault/set-provider-key.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'
import { useProviderSandboxes } from '#test/provider-sandboxes.ts'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'
import { sandboxKey } from '#test/sandbox/providers/keys.ts'

const db = useDatabase()
const sandboxes = useProviderSandboxes(db)

beforeEach(() => void forgetKeyHealth())

const owner = async () => makeMember((await makeWorkspace()).id, 'owner')
const save = (ctx: Awaited<ReturnType<typeof owner>>, provider: ProviderId, seed: string, more = {}) =>
  saveProviderKey(ctx, { provider, credential: sandboxKey(provider, 'live', seed), ...more })
const epochOf = async (id: string) =>
  Number((await db.owner.query('SELECT key_epoch FROM workspaces WHERE id = $1', [id])).rows[0].key_epoch)
const actionsOf = async (id: string) =>
  (await db.owner.query('SELECT action FROM audit_events WHERE workspace_id = $1 ORDER BY seq', [id])).rows.map(
    (row) => row.action,
  )
const noticesOf = async (id: string) =>
  (await db.owner.query("SELECT * FROM notices WHERE workspace_id = $1 AND kind = 'keys_destroyed'", [id])).rows
const at = new Date('2026-11-21T10:00:00Z')

describe('several keys of a provider', () => {
  it('are kept side by side, in an order that can be changed; the same one again is no other', async () => {
    const ctx = await owner()
    const first = await save(ctx, 'groq', 'a', { name: ' main ' })
    const second = await save(ctx, 'groq', 'b')
    expect(await save(ctx, 'groq', 'a')).toMatchObject({ outcome: 'unchanged', keyId: first.keyId })
    await save(ctx, 'openai', 'c')
    expect((await listProviderKeys(ctx)).map((key) => [key.provider, key.name, key.position])).toEqual([
      ['openai', '', 0],
      ['groq', 'main', 0],
      ['groq', '', 1],
    ])
    await setProviderKey(ctx, { keyId: second.keyId, position: 0 })
    expect((await listProviderKeys(ctx, 'groq')).map((key) => key.id)).toEqual([second.keyId, first.keyId])
  })

  it('replacing one leaves the others; a key that is saved already cannot stand twice', async () => {
    const ctx = await owner()
    const [first, second] = [await save(ctx, 'xai', 'a'), await save(ctx, 'xai', 'b')]
    await expect(save(ctx, 'xai', 'b', { keyId: first.keyId })).rejects.toMatchObject({ code: 'key_already_saved' })
    expect(await save(ctx, 'xai', 'c', { keyId: first.keyId })).toMatchObject({
      outcome: 'replaced',
      keyId: first.keyId,
    })
    expect((await listProviderKeys(ctx)).map((key) => [key.id, key.version])).toEqual([
      [first.keyId, 2],
      [second.keyId, 1],
    ])
    await expect(save(ctx, 'groq', 'd', { keyId: first.keyId })).rejects.toMatchObject({ kind: 'not_found' })
    await expect(save(ctx, 'xai', 'd', { keyId: newId() })).rejects.toMatchObject({ kind: 'not_found' })
  })

  it('are bounded', async () => {
    const ctx = await owner()
    for (let nth = 0; nth < 20; nth++) await saveKeyDirectly(ctx, sandboxKey('groq', 'live', `n${nth}`), 'groq')
    await expect(save(ctx, 'groq', 'one-more')).rejects.toMatchObject({ code: 'too_many_keys' })
  })

  it('are all destroyed when the plan is left, each with its certificate', async () => {
    const ctx = await owner()
    for (const seed of ['a', 'b']) await save(ctx, 'groq', seed)
    await saveProviderKey(ctx, { provider: 'bedrock', credential: sandboxCredential('bedrock') })
    const { workspaceId } = ctx
    const [key] = await listProviderKeys(ctx, 'groq')
    await refreshKeyModels(workspaceId, key?.id ?? '', at)
    const cause = { cause: 'left_enterprise', causeReference: null, fromPlanId: 'enterprise', toPlanId: 'pro' }
    const purged = await inSystem((tx) =>
      purgeWorkspaceKeys(tx, { workspaceId, ...cause, actor: { kind: 'system' }, at }),
    )
    expect(purged).toBe(3)
    const certificates = await listPurgeCertificates(ctx)
    expect(certificates).toHaveLength(3)
    const [told, ...more] = await noticesOf(workspaceId)
    expect(more).toEqual([])
    expect(told).toMatchObject({ title: 'Provider keys were destroyed', path: 'settings/billing', dismissed_at: null })
    for (const { hint } of certificates) expect(told.message).toContain(hint)
    for (const table of ['provider_keys', 'provider_key_models', 'workspace_data_keys'])
      expect((await db.owner.query(`SELECT FROM ${table} WHERE workspace_id = $1`, [workspaceId])).rowCount).toBe(0)
  })
})

describe('keys of a plan that allows only some of them', () => {
  it('stay, sealed under a fresh data key, while the others are destroyed with their certificates', async () => {
    const ctx = await owner()
    const { workspaceId } = ctx
    const { keyId } = await save(ctx, 'groq', 'kept')
    await save(ctx, 'xai', 'gone')
    const dataKey = async () =>
      (await db.owner.query('SELECT id FROM workspace_data_keys WHERE workspace_id = $1', [workspaceId])).rows
    const [before] = await dataKey()
    const cause = { cause: 'plan_changed', causeReference: null, fromPlanId: 'enterprise', toPlanId: 'pro' }
    const input = { workspaceId, ...cause, actor: { kind: 'system' as const }, at }
    const keeps = (provider: string) => provider === 'groq'
    expect(await inSystem((tx) => purgeWorkspaceKeys(tx, { ...input, keeps }))).toBe(1)
    forgetOpenKeys(workspaceId)
    const after = await dataKey()
    expect(after).toHaveLength(1)
    expect(after[0].id).not.toBe(before.id)
    const certificates = await listPurgeCertificates(ctx)
    expect(certificates).toMatchObject([{ provider: 'xai', dataKeyId: before.id }])
    const [certificate] = certificates
    const [told] = await noticesOf(workspaceId)
    expect(told).toMatchObject({
      title: 'A provider key was destroyed',
      message: `Destroyed here, because the plan of the workspace no longer allows it: xAI key ${certificate?.hint}. It cannot be brought back; a certificate says when and why. Revoke it at its provider too, if nothing else uses it.`,
      path: `settings/billing/certificates/${certificate?.id}`,
    })
    expect(told.message).not.toContain(sandboxKey('xai', 'live', 'gone').slice(8, 20))
    expect((await listProviderKeys(ctx)).map(({ provider }) => provider)).toEqual(['groq'])
    const opened = await openProviderKey({ workspaceId, keyId, keyVersion: 1 })
    expect(opened.apiKey).toBe(sandboxKey('groq', 'live', 'kept'))
  })
})

describe('what a key is held to', () => {
  it('is changed without touching the secret, audited, and every process hears of it', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'a')
    const epoch = await epochOf(ctx.workspaceId)
    await setProviderKey(ctx, {
      keyId,
      enabled: false,
      name: 'spare',
      allowedModels: [' m1 ', 'm1', 'm2'],
      allowedSurfaces: ['agent_run'],
    })
    expect((await listProviderKeys(ctx))[0]).toMatchObject({
      enabled: false,
      name: 'spare',
      allowedModels: ['m1', 'm2'],
      allowedSurfaces: ['agent_run'],
      version: 1,
    })
    expect(await epochOf(ctx.workspaceId)).toBe(epoch + 1)
    await expect(openProviderKey({ workspaceId: ctx.workspaceId, keyId, keyVersion: 1 })).rejects.toMatchObject({
      code: 'key_unavailable',
    })
    await setProviderKey(ctx, { keyId, enabled: true, allowedModels: [] })
    expect((await listProviderKeys(ctx))[0]).toMatchObject({ enabled: true, name: 'spare', allowedModels: [] })
    expect(await actionsOf(ctx.workspaceId)).toEqual([
      'provider_key.saved',
      'provider_key.disabled',
      'provider_key.enabled',
    ])
  })

  it.each([
    [{ name: 'x'.repeat(61) }, 'invalid_name'],
    [{ name: 'sk-or-v1-0123456789abcdef' }, 'invalid_name'],
    [{ allowedModels: ['a b'] }, 'invalid_input'],
    [{ allowedSurfaces: ['no-such-surface'] }, 'invalid_input'],
  ])('%o is refused, and nothing changes', async (change, code) => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'a')
    await expect(setProviderKey(ctx, { keyId, enabled: false, ...change })).rejects.toMatchObject({ code })
    expect((await listProviderKeys(ctx))[0]).toMatchObject({ enabled: true, name: '' })
  })

  it('members, other workspaces, and plans without keys cannot change it', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'a')
    const member = await makeMember(ctx.workspaceId, 'member')
    const stranger = await owner()
    for (const change of [setProviderKey, removeProviderKey] as ((
      who: typeof ctx,
      input: { keyId: string },
    ) => Promise<void>)[]) {
      await expect(change(member, { keyId })).rejects.toMatchObject({ code: 'forbidden' })
      await expect(change(stranger, { keyId })).rejects.toMatchObject({ kind: 'not_found' })
      await expect(change(ctx, { keyId: 'no-id' })).rejects.toMatchObject({ kind: 'not_found' })
    }
    await inSystem((tx) => tx.workspace.update({ where: { id: ctx.workspaceId }, data: { planId: 'pro' } }))
    await expect(setProviderKey(ctx, { keyId, enabled: true })).rejects.toMatchObject({ code: 'plan_required' })
    await setProviderKey(ctx, { keyId, enabled: false })
    await removeProviderKey(ctx, { keyId })
    expect(await listProviderKeys(ctx)).toEqual([])
  })
})

describe('the daily question', () => {
  it('a key that the provider refuses now stays, with its reason in words; one that works again is cleared', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'daily')
    const asked = { workspaceId: ctx.workspaceId, keyId }
    sandboxes.providers.setKey(sandboxKey('groq', 'live', 'daily'), { live: false })
    expect([await reprobeProviderKey(asked, at), await reprobeProviderKey(asked, at)]).toEqual(['invalid', 'invalid'])
    expect((await listProviderKeys(ctx))[0]).toMatchObject({
      enabled: true,
      verification: 'valid',
      lastErrorCode: 'refused',
      lastErrorText: expect.stringMatching(/^Groq does not accept this key\./),
    })
    const alert = async () =>
      (await db.owner.query('SELECT resolved_at FROM alerts WHERE reference = $1', [keyId])).rows[0].resolved_at
    expect(await alert()).toBeNull()
    sandboxes.providers.setKey(sandboxKey('groq', 'live', 'daily'), { live: true })
    expect(await reprobeProviderKey(asked, at)).toBe('valid')
    expect((await listProviderKeys(ctx))[0]).toMatchObject({ lastErrorCode: null, lastErrorText: null })
    expect(await alert()).not.toBeNull()
    expect(await actionsOf(ctx.workspaceId)).toEqual([
      'provider_key.saved',
      'provider_key.refused_by_provider',
      'provider_key.verified',
    ])
  })

  it('a provider that cannot be asked changes nothing of a key that was verified before', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'away')
    sandboxes.providers.setKey(sandboxKey('groq', 'live', 'away'), { status: 503 })
    expect(await reprobeProviderKey({ workspaceId: ctx.workspaceId, keyId }, at)).toBe('unasked')
  })

  it('is asked at once of a key that is switched on again: nobody asked while it was off', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'again')
    const jobs = async () =>
      (
        await db.owner.query(
          `SELECT DISTINCT t.identifier AS name FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id
            WHERE j.payload->>'keyId' = $1 ORDER BY 1`,
          [keyId],
        )
      ).rows.map((row) => row.name)
    await db.owner.query("DELETE FROM graphile_worker._private_jobs WHERE payload->>'keyId' = $1", [keyId])
    await setProviderKey(ctx, { keyId, enabled: true, name: 'on already' })
    await setProviderKey(ctx, { keyId, enabled: false })
    expect(await jobs()).toEqual([])
    await setProviderKey(ctx, { keyId, enabled: true })
    expect(await jobs()).toEqual(['refresh-key-models', 'reprobe-provider-key'])
  })

  it('is asked of every enabled key once, and of no other', async () => {
    const ctx = await owner()
    const [on, off] = [await save(ctx, 'crof', 'on'), await save(ctx, 'crof', 'off')]
    await setProviderKey(ctx, { keyId: off.keyId, enabled: false })
    for (const round of [1, 2]) {
      expect(await enqueueKeyJobs('poll-key-balance', 600, ['crof'])).toBeGreaterThan(0)
      const jobs = await db.owner.query(
        "SELECT payload FROM graphile_worker._private_jobs WHERE payload->>'workspaceId' = $1 AND key LIKE 'poll-key-balance:%'",
        [ctx.workspaceId],
      )
      expect([round, jobs.rows.map((row) => row.payload)]).toEqual([
        round,
        [{ workspaceId: ctx.workspaceId, keyId: on.keyId }],
      ])
    }
  })
})

describe('the health of a key', () => {
  const health = async (ctx: Awaited<ReturnType<typeof owner>>) => {
    await flushKeyHealth()
    const [key] = await listProviderKeys(ctx)
    return key
  }

  it('says when it was used, when it last worked, and in the provider’s words what was wrong', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'health')
    const reference = { workspaceId: ctx.workspaceId, keyId, keyVersion: 1 }
    noteKeyHealth(reference, {
      ok: false,
      code: 'payment_required',
      text: `Out of credits for sk-or-v1-${'0'.repeat(40)}`,
    })
    const failed = await health(ctx)
    expect(failed).toMatchObject({ lastErrorCode: 'payment_required', lastSuccessAt: null })
    expect(failed?.lastErrorText).toBe('Out of credits for [secret]')
    expect(failed?.lastUsedAt).not.toBeNull()
    noteKeyHealth(reference, { ok: true })
    expect(await health(ctx)).toMatchObject({ lastErrorCode: null, lastErrorText: null, lastErrorAt: null })
    expect((await health(ctx))?.lastSuccessAt).not.toBeNull()
  })

  it('is not the replaced key’s: the new one was not used yet, and the same one saved again was', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'old')
    noteKeyHealth({ workspaceId: ctx.workspaceId, keyId, keyVersion: 1 }, { ok: true })
    const used = await health(ctx)
    expect(used?.lastUsedAt).not.toBeNull()
    await save(ctx, 'groq', 'old', { keyId, name: 'renamed' })
    expect(await health(ctx)).toMatchObject({ lastUsedAt: used?.lastUsedAt, lastSuccessAt: used?.lastSuccessAt })
    await save(ctx, 'groq', 'new', { keyId })
    expect(await health(ctx)).toMatchObject({ version: 3, lastUsedAt: null, lastSuccessAt: null })
  })

  it('is written once for a thousand calls, and not for a version that is gone', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'busy-key')
    const reference = { workspaceId: ctx.workspaceId, keyId, keyVersion: 1 }
    for (let call = 0; call < 1_000; call++) noteKeyHealth(reference, { ok: true })
    const first = (await health(ctx))?.lastUsedAt
    expect(first).not.toBeNull()
    for (let call = 0; call < 1_000; call++) noteKeyHealth(reference, { ok: true })
    expect((await health(ctx))?.lastUsedAt).toBe(first)
    noteKeyHealth({ ...reference, keyVersion: 7 }, { ok: false, code: 'refused', text: 'no' })
    expect(await health(ctx)).toMatchObject({ lastErrorCode: null })
  })

  it('that cannot be written is lost, and no call with it', async () => {
    noteKeyHealth({ workspaceId: 'no-uuid', keyId: 'x', keyVersion: 1 }, { ok: true })
    await expect(flushKeyHealth()).resolves.toBeUndefined()
  })
})
