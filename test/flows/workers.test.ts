import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { Logger, runOnce } from 'graphile-worker'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { jobNames } from '#app/domain/jobs/jobs.ts'
import { unlockDeadWorkers } from '#app/domain/jobs/unlock-dead-workers.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { systemClock } from '#app/platform/clock.ts'
import { appPool, inSystem, inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'
import { until } from '#test/gateway.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import { crontab } from '#workers/crontab.ts'
import { taskList } from '#workers/run-worker.ts'
import { tasks } from '#workers/tasks/index.ts'

const brokenKey = `sk-or-v1-broken${'4d'.repeat(28)}`

describe('jobs', () => {
  const db = useDatabase()
  let upstream: OpenRouterSandbox
  beforeAll(async () => {
    upstream = await startOpenRouterSandbox({})
    db.configure({ PROVIDER_BASE_URL_OPENROUTER: upstream.baseUrl })
  })
  afterAll(() => upstream.close())

  const jobs = async () =>
    (
      await db.owner.query(
        'SELECT task_identifier AS name, key, attempts, locked_by, last_error FROM graphile_worker.jobs ORDER BY id',
      )
    ).rows

  async function savedUnverified() {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    await saveProviderKey(owner, { provider: 'openrouter', credential: brokenKey })
    await db.owner.query("UPDATE graphile_worker._private_jobs SET run_at = now() WHERE key LIKE 'reprobe:%'")
    return owner
  }

  async function startWorker(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [path.resolve(import.meta.dirname, '../../workers/index.ts')], {
      env: db.childEnv(),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    await once(child, 'message')
    return child
  }

  it('exist exactly when the transaction that added them does', async () => {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    const payload = { workspaceId: owner.workspaceId, keyId: newId() }
    const failing = inTenant({ workspaceId: owner.workspaceId }, async (tx) => {
      await enqueueJob(tx, 'reprobe-provider-key', payload, { jobKey: 'rolled-back' })
      throw new Error('rolled back')
    })
    await expect(failing).rejects.toThrow('rolled back')
    expect((await jobs()).filter((job) => job.key === 'rolled-back')).toEqual([])
    await expect(
      inSystem((tx) => enqueueJob(tx, 'reprobe-provider-key', { workspaceId: 'x', keyId: 'y' })),
    ).rejects.toThrow()
  })

  it('have a task each, a cron entry only of the catalogue, and identifiers that are unique', () => {
    expect(Object.keys(tasks).sort()).toEqual([...jobNames].sort())
    for (const item of crontab) expect(jobNames).toContain(item.task)
    expect(new Set(crontab.map((item) => item.identifier)).size).toBe(crontab.length)
  })

  it('that fail are kept with a reason free of secrets, and tried again later', async () => {
    await savedUnverified()
    await runOnce({ pgPool: appPool(), taskList: taskList(systemClock), logger: new Logger(() => () => {}) })
    // The queue may give a failed job back a moment after the run is over.
    const found = async () => (await jobs()).filter((one) => one.name === 'reprobe-provider-key')[0]
    await expect.poll(async () => (await found())?.locked_by, { timeout: 180_000 }).toBe(null)
    const job = await found()
    expect(job).toMatchObject({ attempts: 1, locked_by: null })
    expect(job.last_error).toMatch(/provider_unreachable/)
    expect(job.last_error).not.toContain('4d4d4d')
    await db.owner.query(
      "SELECT graphile_worker.complete_jobs(array_agg(id)) FROM graphile_worker.jobs WHERE task_identifier = 'reprobe-provider-key'",
    )
  })

  it('of a worker that was killed come back after a minute of silence, those of a living one stay', async () => {
    const owner = await savedUnverified()
    const { rows } = await db.owner.query('SELECT id FROM provider_keys WHERE workspace_id = $1', [owner.workspaceId])
    upstream.setKey(brokenKey, { probeStatus: null, probeDelayMs: 30_000 })
    const worker = await startWorker()
    const taken = async () => (await jobs()).filter((job) => job.locked_by)
    // Beside it, what the cron brings at the turn of a minute.
    await until(async () => (await taken()).some((job) => job.name === 'reprobe-provider-key'), 'the job to be taken')
    expect(await unlockDeadWorkers()).toEqual([])
    worker.kill('SIGKILL')
    await once(worker, 'exit')
    const dead = (await taken()).map((job) => job.locked_by)
    expect(dead).not.toEqual([])
    // A minute later, as the database's clock would show it.
    await db.owner.query("UPDATE process_heartbeats SET seen_at = seen_at - interval '61 seconds'")
    await db.owner.query(
      "UPDATE graphile_worker._private_jobs SET locked_at = locked_at - interval '61 seconds' WHERE locked_by IS NOT NULL",
    )
    expect((await unlockDeadWorkers()).sort()).toEqual([...new Set(dead)].sort())
    upstream.setKey(brokenKey, { probeDelayMs: 0 })
    const successor = await startWorker()
    const verification = async () =>
      (await db.owner.query('SELECT verification FROM provider_keys WHERE id = $1', [rows[0].id])).rows[0].verification
    await vi.waitFor(async () => expect(await verification()).toBe('valid'), { timeout: 180_000, interval: 100 })
    successor.kill('SIGTERM')
    expect(await once(successor, 'exit')).toEqual([0, null])
    expect(
      (
        await db.owner.query(
          "SELECT FROM process_heartbeats WHERE kind = 'worker' AND seen_at > now() - interval '30 seconds'",
        )
      ).rowCount,
    ).toBe(0)
  })
})
