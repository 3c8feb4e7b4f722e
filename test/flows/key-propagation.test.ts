import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { forgetAllOpenKeys, openProviderKey, startKeyListener } from '#app/domain/vault/open-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { OPEN_KEY_MAX_MS } from '#app/domain/vault/vault.ts'
import { useDatabase } from '#test/database.ts'
import { makeGatewayToken, makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'
import { fingerprintOf } from '#test/sandbox/openrouter/keys.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'

const oldKey = `sk-or-v1-${'01d'.repeat(21)}a`
const newKey = `sk-or-v1-${'2e3'.repeat(21)}b`
const LISTENERS = "application_name LIKE 'keymargin listen%' AND datname = current_database()"

describe('a replaced key', () => {
  const db = useDatabase()
  let upstream: OpenRouterSandbox
  let other: ChildProcess
  let origin: string

  beforeAll(async () => {
    upstream = await startOpenRouterSandbox({})
    db.configure({ PROVIDER_BASE_URL_OPENROUTER: upstream.baseUrl })
    await db.owner.query('SELECT metering.ensure_month_partition(current_date)')
    const program = path.resolve(import.meta.dirname, '../gateway-process.ts')
    other = spawn(process.execPath, [program], { env: db.childEnv(), stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(createInterface({ input: other.stdout! }), 'line')) as [string]
    origin = JSON.parse(line).origin
  })
  afterAll(async () => {
    other.kill('SIGKILL')
    await once(other, 'exit')
    await upstream.close()
  })

  async function customerOnOldKey() {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    const keyId = await saveKeyDirectly(owner, oldKey)
    const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: await makeGatewayToken(owner), maxRetries: 0 })
    const keyOfNextCall = async () => {
      await client.chat.completions.create({ model: 'openai/gpt-5-mini', messages: [{ role: 'user', content: 'hi' }] })
      return upstream.chats().at(-1)?.key
    }
    expect(await keyOfNextCall()).toBe(fingerprintOf(oldKey))
    const replaceKey = () => saveProviderKey(owner, { provider: 'openrouter', credential: newKey, keyId })
    return { replaceKey, keyOfNextCall }
  }

  it('is used by another web process at its next call', async () => {
    const { replaceKey, keyOfNextCall } = await customerOnOldKey()
    await replaceKey()
    expect(await keyOfNextCall()).toBe(fingerprintOf(newKey))
  })

  it('is used by another web process also while its listener is cut', async () => {
    const { replaceKey, keyOfNextCall } = await customerOnOldKey()
    await db.owner.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${LISTENERS}`)
    await replaceKey()
    // Every dispatch reads the current version: the listener frees memory early, correctness does not wait for it.
    expect(await keyOfNextCall()).toBe(fingerprintOf(newKey))
    await vi.waitFor(
      async () =>
        expect((await db.owner.query(`SELECT FROM pg_stat_activity WHERE ${LISTENERS}`)).rowCount).toBeGreaterThan(0),
      180_000,
    )
  })
})

describe('a decrypted key in memory', () => {
  const db = useDatabase()
  afterEach(() => forgetAllOpenKeys())

  async function openedKey() {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    await saveKeyDirectly(owner, oldKey)
    const { rows } = await db.owner.query('SELECT id, version FROM provider_keys WHERE workspace_id = $1', [
      owner.workspaceId,
    ])
    const reference = { workspaceId: owner.workspaceId, keyId: rows[0].id, keyVersion: rows[0].version }
    expect(await openProviderKey(reference)).toMatchObject({ apiKey: oldKey, secrets: [oldKey] })
    return reference
  }
  const destroyRow = (workspaceId: string) =>
    db.owner.query('DELETE FROM provider_keys WHERE workspace_id = $1', [workspaceId])

  it('lives for 120 s from the start of the read that opened it, and not a moment longer', async () => {
    const readStarted = performance.now()
    const reference = await openedKey()
    const readEnded = performance.now()
    await destroyRow(reference.workspaceId)
    const clock = vi.spyOn(performance, 'now')
    clock.mockReturnValue(readStarted + OPEN_KEY_MAX_MS - 1)
    expect(await openProviderKey(reference)).toMatchObject({ apiKey: oldKey, secrets: [oldKey] })
    clock.mockReturnValue(readEnded + OPEN_KEY_MAX_MS + 1)
    await expect(openProviderKey(reference)).rejects.toMatchObject({ code: 'key_unavailable' })
    clock.mockRestore()
  })

  /** Long for a slow machine, and short beside the 120 s after which it would be dropped anyway. */
  const soon = { timeout: 90_000, interval: 10 }

  it('is dropped at NOTIFY', async () => {
    const listener = await startKeyListener()
    try {
      const reference = await openedKey()
      await destroyRow(reference.workspaceId)
      await db.owner.query('UPDATE workspaces SET key_epoch = key_epoch + 1 WHERE id = $1', [reference.workspaceId])
      await vi.waitFor(
        () => expect(openProviderKey(reference)).rejects.toMatchObject({ code: 'key_unavailable' }),
        soon,
      )
    } finally {
      await listener.stop()
    }
  })

  it('is dropped when the listener’s connection breaks, since nothing is known from then on', async () => {
    const listener = await startKeyListener()
    try {
      const reference = await openedKey()
      await destroyRow(reference.workspaceId)
      await db.owner.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${LISTENERS}`)
      await vi.waitFor(
        () => expect(openProviderKey(reference)).rejects.toMatchObject({ code: 'key_unavailable' }),
        soon,
      )
      await vi.waitFor(
        async () => expect((await db.owner.query(`SELECT FROM pg_stat_activity WHERE ${LISTENERS}`)).rowCount).toBe(1),
        soon,
      )
    } finally {
      await listener.stop()
    }
  })
})
