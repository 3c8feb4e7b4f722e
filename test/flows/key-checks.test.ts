/** A session cannot be used to try keys by the thousand: the limit holds for a workspace and for a person, across processes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { hangUp } from '#app/domain/providers/dispatch-call.server.ts'
import { countKeyCheck } from '#app/domain/vault/limit-key-checks.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { AppError, httpStatusOf } from '#app/platform/errors.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'

const db = useDatabase()
let sandbox: OpenRouterSandbox
beforeAll(async () => {
  sandbox = await startOpenRouterSandbox()
  db.configure({ PROVIDER_BASE_URL_OPENROUTER: sandbox.baseUrl })
})
afterAll(async () => {
  await hangUp()
  await sandbox.close()
})

const keyOf = (n: number) => `sk-or-v1-${`revoked${n}`.padStart(64, 'f')}`
const asked = () => sandbox.journal().length
const tried = (ctx: Ctx, n: number) =>
  saveProviderKey(ctx, { provider: 'openrouter', credential: keyOf(n) }).then(
    () => 'saved',
    (error: unknown) => (error instanceof AppError ? error.code : String(error)),
  )
const rowsOf = async (workspaceId: string) =>
  (await db.owner.query('SELECT at FROM provider_key_checks WHERE workspace_id = $1 ORDER BY at', [workspaceId])).rows

describe('keys that are tried', () => {
  test('are at most 50 in 10 minutes; then the provider is asked nothing, and the answer says when to try again', async () => {
    const workspace = await makeWorkspace()
    const admin = await makeMember(workspace.id, 'billing_admin')
    for (let n = 0; n < 50; n++) expect(await tried(admin, n)).toBe('key_rejected')
    const before = asked()
    expect(await tried(admin, 50)).toBe('too_many_key_checks')
    expect(asked()).toBe(before)
    const refusal = await countKeyCheck(admin, 'openrouter').catch((error: AppError) => error)
    const [first] = await rowsOf(workspace.id)
    const free = new Date(Math.ceil((first.at.getTime() + 600_000) / 60_000) * 60_000).toISOString().slice(11, 16)
    expect(refusal).toMatchObject({
      kind: 'rate_limited',
      message: expect.stringContaining(`Try again at ${free} UTC`),
      retryAfterS: expect.toSatisfy((s: number) => s > 0 && s <= 660),
    })
    expect(httpStatusOf.rate_limited).toBe(429)

    const { rows } = await db.owner.query(
      `SELECT action, detail::text FROM audit_events WHERE workspace_id = $1 AND action LIKE 'provider_key.%'`,
      [workspace.id],
    )
    expect(rows.map(({ action }) => action)).toEqual(['provider_key.check_limit_reached'])
    expect(JSON.stringify(rows)).not.toContain('ffff')

    await db.owner.query(`UPDATE provider_key_checks SET at = at - interval '11 minutes' WHERE workspace_id = $1`, [
      workspace.id,
    ])
    expect(await tried(admin, 51)).toBe('key_rejected')
    expect(await rowsOf(workspace.id)).toHaveLength(1)
  })

  test('of one person are counted across workspaces, those of a workspace across its people', async () => {
    const [one, two] = [await makeWorkspace(), await makeWorkspace()]
    const person = await makeMember(one.id, 'owner')
    const elsewhere: Ctx = { ...(await makeMember(two.id, 'owner')), actor: person.actor }
    for (let n = 0; n < 25; n++) await countKeyCheck(person, 'openai')
    for (let n = 0; n < 25; n++) await countKeyCheck(elsewhere, 'groq')
    await expect(countKeyCheck(person, 'openai')).rejects.toMatchObject({ code: 'too_many_key_checks' })
    const colleague = await makeMember(one.id, 'billing_admin')
    for (let n = 0; n < 25; n++) await countKeyCheck(colleague, 'openai')
    await expect(countKeyCheck(colleague, 'openai')).rejects.toMatchObject({ code: 'too_many_key_checks' })
    await countKeyCheck(await makeMember(two.id, 'billing_admin'), 'openai')
  })

  test('at the same moment are counted one after the other', async () => {
    const workspace = await makeWorkspace()
    const admin = await makeMember(workspace.id, 'billing_admin')
    const results = await Promise.allSettled(Array.from({ length: 60 }, () => countKeyCheck(admin, 'openai')))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(50)
    expect(await rowsOf(workspace.id)).toHaveLength(50)
  })

  test('that are no keys by their form cost nothing: no provider is asked', async () => {
    const workspace = await makeWorkspace()
    const admin = await makeMember(workspace.id, 'billing_admin')
    await expect(saveProviderKey(admin, { provider: 'openrouter', credential: 'nonsense' })).rejects.toThrow()
    expect(await rowsOf(workspace.id)).toEqual([])
  })
})
