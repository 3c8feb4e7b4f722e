import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyAuditChain } from '#app/domain/audit/record-audit.server.ts'
import { openProviderKey } from '#app/domain/vault/open-provider-key.server.ts'
import { getProviderKeyStatus } from '#app/domain/vault/queries.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'

const hex = (seed: string) => `${seed}${'0123456789abcdef'.repeat(4)}`.slice(0, 64)
const key = (seed: string) => `sk-or-v1-${hex(seed)}`

describe('the vault', () => {
  const db = useDatabase()
  let upstream: OpenRouterSandbox

  beforeAll(async () => {
    upstream = await startOpenRouterSandbox({})
    db.configure({ PROVIDER_BASE_URL_OPENROUTER: upstream.baseUrl })
  })
  afterAll(() => upstream.close())

  const rows = async (workspaceId: string) =>
    (await db.owner.query('SELECT * FROM provider_keys WHERE workspace_id = $1', [workspaceId])).rows
  const reference = async (workspaceId: string) => {
    const [row] = await rows(workspaceId)
    return { workspaceId, keyId: row.id as string, keyVersion: row.version as number }
  }

  it('saves a valid key sealed: nothing of it but the hint is in the database or in the answer', async () => {
    const owner = await makeMember((await makeWorkspace()).id, 'billing_admin')
    const secret = key('aaaa')
    const saved = await saveProviderKey(owner, { provider: 'openrouter', credential: `  ${secret}  ` })
    expect(saved).toMatchObject({ outcome: 'saved', verification: 'valid', hint: `sk-or-v1-…${secret.slice(-4)}` })
    const dump =
      JSON.stringify(await rows(owner.workspaceId)) +
      JSON.stringify((await db.owner.query('SELECT * FROM audit_events')).rows)
    expect(dump).not.toContain(secret.slice(9, 40))
    expect(Buffer.from((await rows(owner.workspaceId))[0].ciphertext).includes(Buffer.from(secret.slice(9, 40)))).toBe(
      false,
    )
    expect(await openProviderKey(await reference(owner.workspaceId))).toMatchObject({ apiKey: secret })
    const verdict = await inTenant({ workspaceId: owner.workspaceId }, (tx) => verifyAuditChain(tx, owner.workspaceId))
    expect(verdict).toEqual({ entries: 1, brokenAt: null })
  })

  it('saving the same key again changes nothing; another one is a new version', async () => {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    await saveProviderKey(owner, { provider: 'openrouter', credential: key('b1') })
    expect(await saveProviderKey(owner, { provider: 'openrouter', credential: key('b1') })).toMatchObject({
      outcome: 'unchanged',
    })
    const { keyId } = await reference(owner.workspaceId)
    const another = { provider: 'openrouter' as const, credential: key('b2') }
    expect(await saveProviderKey(owner, { ...another, keyId })).toMatchObject({ outcome: 'replaced' })
    expect(await getProviderKeyStatus(owner, 'openrouter')).toMatchObject({ version: 2, enabled: true })
  })

  it.each([
    ['rejected by the provider', `sk-or-v1-revoked${hex('c')}`, 'key_rejected'],
    ['a management key', `sk-or-v1-mgmt${hex('d')}`, 'management_key'],
    ['wrong prefix', 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz', 'invalid_key_format'],
  ])('does not save a key that is %s, and keeps the old one', async (_name, bad, code) => {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    await saveProviderKey(owner, { provider: 'openrouter', credential: key('e1') })
    const before = await rows(owner.workspaceId)
    const refused = await saveProviderKey(owner, { provider: 'openrouter', credential: bad }).catch((error) => error)
    expect(refused).toMatchObject({ code, field: 'key' })
    expect(`${refused.message} ${refused.internal ?? ''}`).not.toContain(bad.slice(9, 30))
    expect(await rows(owner.workspaceId)).toEqual(before)
  })

  it('saves unverified with a job to ask again where the provider cannot be asked', async () => {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    const saved = await saveProviderKey(owner, { provider: 'openrouter', credential: `sk-or-v1-broken${hex('f1')}` })
    expect(saved).toMatchObject({ outcome: 'saved', verification: 'unverified', reason: 'provider_error' })
    const jobs = await db.owner.query(
      `SELECT j.payload FROM graphile_worker._private_jobs j WHERE j.key LIKE 'reprobe:%'`,
    )
    expect(jobs.rows[0].payload).toEqual({
      workspaceId: owner.workspaceId,
      keyId: (await reference(owner.workspaceId)).keyId,
    })
  })

  it('refuses members and developers, and plans without keys', async () => {
    const workspace = await makeWorkspace()
    for (const role of ['member', 'developer'] as const) {
      const ctx = await makeMember(workspace.id, role)
      await expect(saveProviderKey(ctx, { provider: 'openrouter', credential: key('9') })).rejects.toMatchObject({
        code: 'forbidden',
      })
      await expect(removeProviderKey(ctx, { keyId: newId() })).rejects.toMatchObject({ code: 'forbidden' })
    }
    const pro = await makeMember((await makeWorkspace({ planId: 'pro' })).id, 'owner')
    await expect(saveProviderKey(pro, { provider: 'openrouter', credential: key('9') })).rejects.toMatchObject({
      code: 'plan_required',
    })
  })

  it('two saves at once end as two versions, one after the other, both audited', async () => {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    const keyId = await saveKeyDirectly(owner, key('0f'))
    const replace = (seed: string) => saveProviderKey(owner, { provider: 'openrouter', credential: key(seed), keyId })
    await Promise.all(['1a', '2b'].map(replace))
    expect((await rows(owner.workspaceId))[0].version).toBe(3)
    const audit = await db.owner.query('SELECT action FROM audit_events WHERE workspace_id = $1 ORDER BY seq', [
      owner.workspaceId,
    ])
    expect(audit.rows.map((row) => row.action)).toEqual([
      'provider_key.saved',
      'provider_key.replaced',
      'provider_key.replaced',
    ])
  })

  describe('a ciphertext moved anywhere else does not open', () => {
    const columns = ['nonce', 'ciphertext', 'data_key_id', 'version'] as const

    it.each(['workspace', 'version', 'provider', 'key id', 'data key'] as const)('to another %s', async (what) => {
      const [a, b] = [
        await makeMember((await makeWorkspace()).id, 'owner'),
        await makeMember((await makeWorkspace()).id, 'owner'),
      ]
      await saveKeyDirectly(a, key('aa'))
      await saveKeyDirectly(b, key('bb'))
      const [source] = await rows(a.workspaceId)
      const target = b.workspaceId
      if (what === 'workspace') {
        // the data key travels along as well: only the bound workspace is left to refuse it
        await db.owner.query(`UPDATE workspace_data_keys t SET id = gen_random_uuid() WHERE workspace_id = $1`, [
          a.workspaceId,
        ])
        await db.owner.query(
          `UPDATE workspace_data_keys t SET id = $2, kek_id = s.kek_id, nonce = s.nonce, sealed = s.sealed FROM workspace_data_keys s
            WHERE t.workspace_id = $1 AND s.workspace_id = $3`,
          [target, source.data_key_id, a.workspaceId],
        )
        const set = columns.map((column) => `${column} = s.${column}`).join(', ')
        await db.owner.query(
          `UPDATE provider_keys t SET ${set} FROM provider_keys s WHERE t.workspace_id = $1 AND s.workspace_id = $2`,
          [target, a.workspaceId],
        )
      }
      if (what === 'version')
        await db.owner.query('UPDATE provider_keys SET version = 7 WHERE workspace_id = $1', [target])
      if (what === 'provider')
        await db.owner.query("UPDATE provider_keys SET provider = 'openai' WHERE workspace_id = $1", [target])
      if (what === 'key id')
        await db.owner.query('UPDATE provider_keys SET id = gen_random_uuid() WHERE workspace_id = $1', [target])
      if (what === 'data key') {
        const set = 'nonce = s.nonce, ciphertext = s.ciphertext'
        await db.owner.query(
          `UPDATE provider_keys t SET ${set} FROM provider_keys s WHERE t.workspace_id = $1 AND s.workspace_id = $2`,
          [target, a.workspaceId],
        )
      }
      await expect(openProviderKey(await reference(target))).rejects.toMatchObject({ code: 'key_unavailable' })
    })

    it('nor with one bit turned', async () => {
      const owner = await makeMember((await makeWorkspace()).id, 'owner')
      await saveKeyDirectly(owner, key('cc'))
      await db.owner.query(
        'UPDATE provider_keys SET ciphertext = set_byte(ciphertext, 5, get_byte(ciphertext, 5) # 1) WHERE workspace_id = $1',
        [owner.workspaceId],
      )
      await expect(openProviderKey(await reference(owner.workspaceId))).rejects.toMatchObject({
        code: 'key_unavailable',
      })
    })
  })
})
