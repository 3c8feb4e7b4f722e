import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type EmbeddedPostgres, resolveStateDir, startEmbeddedPostgres } from '#scripts/postgres/embedded.ts'

describe('embedded PostgreSQL', () => {
  let base: string
  let running: EmbeddedPostgres | undefined
  beforeEach(() => {
    base = mkdtempSync(path.join(tmpdir(), 'keymargin-pg-'))
    chmodSync(base, 0o755)
  })
  afterEach(async () => {
    await running?.stop()
    running = undefined
    rmSync(base, { recursive: true, force: true })
  })

  async function query(url: string, sql: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }
  const serverPid = (dir: string) => Number(readFileSync(path.join(dir, 'data/postmaster.pid'), 'utf8').split('\n')[0])

  it('starts twice in a row on the same data, the second time on the running server', async () => {
    running = await startEmbeddedPostgres(path.join(base, 'state'))
    await query(running.url, 'CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)')
    const again = await startEmbeddedPostgres(path.join(base, 'state'))
    expect(again.adopted).toBe(true)
    expect(await query(again.url, 'SELECT n FROM kept')).toEqual([{ n: 7 }])
    await running.stop()
    running = await startEmbeddedPostgres(path.join(base, 'state'))
    expect(running.adopted).toBe(false)
    expect(await query(running.url, 'SELECT n FROM kept')).toEqual([{ n: 7 }])
  })

  it('comes back after kill -9 of the server, with what was committed', async () => {
    const first = await startEmbeddedPostgres(path.join(base, 'state'))
    await query(first.url, 'CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)')
    const children = `SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`
    const [child] = (await query(first.url, children)) as { pid: number }[]
    process.kill(child?.pid as number, 'SIGSTOP') // it outlives the server, as on a machine that is busy
    process.kill(serverPid(resolveStateDir(path.join(base, 'state'))), 'SIGKILL')
    setTimeout(() => process.kill(child?.pid as number, 'SIGCONT'), 500)
    running = await startEmbeddedPostgres(path.join(base, 'state'))
    expect(await query(running.url, 'SELECT n FROM kept')).toEqual([{ n: 7 }])
  })

  it('is adopted after kill -9 of the Node process that started it', async () => {
    const script = `import { startEmbeddedPostgres } from '#scripts/postgres/embedded.ts'
      await startEmbeddedPostgres(process.argv[1]); console.log('up'); setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, path.join(base, 'state')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('exit', resolve))
    running = await startEmbeddedPostgres(path.join(base, 'state'))
    expect(running.adopted).toBe(true)
    expect(await query(running.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('starts under a umask that closes to others whatever is made', async () => {
    const before = process.umask(0o077)
    try {
      running = await startEmbeddedPostgres(path.join(base, 'made/on/the/way'))
    } finally {
      process.umask(before)
    }
    expect(await query(running.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('starts below a folder that other users cannot enter', async () => {
    const closed = path.join(base, 'home')
    mkdirSync(closed, { mode: 0o700 })
    const wished = path.join(closed, 'checkout/.keymargin/demo')
    mkdirSync(path.dirname(wished), { recursive: true })
    running = await startEmbeddedPostgres(wished)
    expect(await query(running.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    const used = resolveStateDir(wished)
    expect(used === wished).toBe(process.getuid?.() !== 0)
    await running.stop()
    running = undefined
    rmSync(used, { recursive: true, force: true })
  })
})
