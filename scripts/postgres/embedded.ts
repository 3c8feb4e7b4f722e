/**
 * Supervises one embedded PostgreSQL server in a state folder: for the demo, development and the tests.
 * It starts as root and as an ordinary user, adopts a server that outlived a killed Node process, and waits for a
 * killed server's process to be reaped before it starts another on the same data.
 */
import { type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from '../free-port.ts'
import { enterableByOthers, executableBinaries } from './binaries.ts'

export interface EmbeddedPostgres {
  /** Superuser connection to the `keymargin` database. */
  url: string
  /** True where the server was already running and this process took it over. */
  adopted: boolean
  stop(): Promise<void>
}

interface DatabaseUser {
  uid?: number
  gid?: number
}

const isRoot = process.getuid?.() === 0

/** PostgreSQL refuses uid 0: as root it runs as `postgres` where that user exists, else as `nobody`. */
function databaseUser(): DatabaseUser {
  if (!isRoot) return {}
  const id = (name: string, flag: string) => {
    const run = spawnSync('id', [flag, name], { encoding: 'utf8' })
    return run.status === 0 ? Number(run.stdout) : undefined
  }
  for (const name of ['postgres', 'nobody']) {
    const uid = id(name, '-u')
    if (uid !== undefined) return { uid, gid: id(name, '-g') ?? uid }
  }
  throw new Error('PostgreSQL cannot run as root, and there is neither a `postgres` nor a `nobody` user.')
}

/** Where the state lives: the wished folder, or a folder of this checkout's own under /var/lib where that is closed. */
export function resolveStateDir(wished: string): string {
  if (!isRoot || enterableByOthers(path.dirname(path.resolve(wished)))) return path.resolve(wished)
  const checkout = createHash('sha256').update(path.resolve(wished)).digest('hex').slice(0, 12)
  return path.join('/var/lib/keymargin', checkout)
}

/** Makes the folder where the state lives, so that the database's user may enter it whatever the umask. */
export function makeStateDir(wished: string): string {
  const stateDir = resolveStateDir(wished)
  const first = mkdirSync(stateDir, { recursive: true })
  for (let made = stateDir; first !== undefined && made.length >= first.length; made = path.dirname(made))
    chmodSync(made, 0o755)
  return stateDir
}

function isZombie(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] === 'Z'
  } catch {
    return false
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function initialise(native: string, stateDir: string, user: DatabaseUser, env: NodeJS.ProcessEnv): void {
  const data = path.join(stateDir, 'data')
  const credential = path.join(stateDir, 'password')
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(credential, randomBytes(24).toString('base64url'), { mode: 0o600 })
  if (user.uid !== undefined && user.gid !== undefined) {
    chownSync(data, user.uid, user.gid)
    chownSync(credential, user.uid, user.gid)
  }
  const options = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const run = spawnSync(
    path.join(native, 'bin/initdb'),
    ['-D', data, '-U', 'keymargin_owner', `--pwfile=${credential}`, '--no-locale', '--no-instructions', ...options],
    { ...user, env, cwd: '/', encoding: 'utf8' },
  )
  if (user.uid !== undefined) chownSync(credential, 0, 0)
  if (run.status !== 0) {
    rmSync(data, { recursive: true, force: true })
    throw new Error(`initdb failed: ${run.error?.message ?? run.stderr}`)
  }
}

interface Running {
  pid: number
  port: number
}

/** After a reboot the recorded number may belong to any program; /proc tells where there is one. */
function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres')
  } catch {
    return !existsSync('/proc/self')
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}

/**
 * The server that already runs on this data. One that is starting, dying or not yet reaped is waited for: a server that was
 * just killed still has its pid file and, for a moment, its process, so only one that answers counts as running.
 */
async function runningServer(data: string, urlAt: (port: string) => string): Promise<Running | undefined> {
  const pidFile = path.join(data, 'postmaster.pid')
  for (let round = 0; existsSync(pidFile); round++) {
    const [pid, , , port = '', , , , status] = readFileSync(pidFile, 'utf8')
      .split('\n')
      .map((line) => line.trim())
    if (!isAlive(Number(pid)) || !(isZombie(Number(pid)) || isPostgres(Number(pid)))) return undefined
    if (status === 'ready' && (await answers(urlAt(port)))) return { pid: Number(pid), port: Number(port) }
    if (round > 600) throw new Error(`A PostgreSQL server (process ${pid}) holds ${data} and never became ready.`)
    await delay(100)
  }
  return undefined
}

async function stopServer(pid: number): Promise<void> {
  if (!isAlive(pid)) return
  process.kill(pid, 'SIGINT') // fast shutdown: open transactions roll back, nothing committed is lost
  while (isAlive(pid) && !isZombie(pid)) await delay(20)
}

function launch(native: string, data: string, port: number, options: SpawnOptions, extra: string[]): Promise<number> {
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=200',
    'log_parameter_max_length=0',
  ]
  const flags = [...settings, ...extra].flatMap((setting) => ['-c', setting])
  const child = spawn(path.join(native, 'bin/postgres'), ['-D', data, '-p', String(port), ...flags], options)
  let log = ''
  return new Promise((resolve, reject) => {
    const failed = (code: number | null) => reject(new Error(`PostgreSQL exited with ${code}: ${log.slice(-800)}`))
    child.once('error', reject)
    child.once('exit', failed)
    child.stderr?.on('data', (piece: Buffer) => {
      log = (log + piece).slice(-4000)
      if (!log.includes('ready to accept connections')) return
      child.removeListener('exit', failed)
      child.unref()
      ;(child.stderr as unknown as { unref?: () => void }).unref?.()
      resolve(child.pid as number)
    })
  })
}

/**
 * Children of a server that was killed end a moment after it and hold its memory until then, and a port that was free may be
 * taken before it is listened on: both are tried again.
 */
async function launchFresh(launchAt: (port: number) => Promise<number>): Promise<Running> {
  for (let round = 0; ; round++) {
    const port = await freePort()
    try {
      return { port, pid: await launchAt(port) }
    } catch (error) {
      if (round > 600 || !/still in use|Address already in use/.test(String(error))) throw error
      await delay(100)
    }
  }
}

async function createDatabase(url: URL): Promise<void> {
  const maintenance = new URL(url)
  maintenance.pathname = '/postgres'
  const client = new pg.Client({ connectionString: maintenance.href })
  await client.connect()
  try {
    const found = await client.query("SELECT 1 FROM pg_database WHERE datname = 'keymargin'")
    if (!found.rowCount) await client.query('CREATE DATABASE keymargin')
  } finally {
    await client.end()
  }
}

/**
 * Starts (or adopts) the server of `wishedDir`.
 * @param settings extra `name=value` server settings, e.g. `fsync=off` for throw-away test clusters
 * @throws with PostgreSQL's own last words where it does not come up
 */
export async function startEmbeddedPostgres(wishedDir: string, settings: string[] = []): Promise<EmbeddedPostgres> {
  const stateDir = makeStateDir(wishedDir)
  const user = databaseUser()
  const native = executableBinaries(stateDir, user.uid !== undefined)
  const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' } as unknown as NodeJS.ProcessEnv
  const data = path.join(stateDir, 'data')
  const finished = path.join(stateDir, 'initialised') // a half-made cluster (killed initdb) is made again
  if (!existsSync(finished)) {
    initialise(native, stateDir, user, env)
    writeFileSync(finished, '')
  }
  const password = readFileSync(path.join(stateDir, 'password'), 'utf8').trim()
  const urlAt = (at: number | string) => `postgresql://keymargin_owner:${password}@127.0.0.1:${at}/keymargin`
  const found = await runningServer(data, (at) => urlAt(at).replace(/keymargin$/, 'postgres'))
  const options: SpawnOptions = { ...user, env, cwd: '/', detached: true, stdio: ['ignore', 'ignore', 'pipe'] }
  const { pid, port } = found ?? (await launchFresh((at) => launch(native, data, at, options, settings)))
  const url = new URL(urlAt(port))
  await createDatabase(url)
  return { url: url.href, adopted: found !== undefined, stop: () => stopServer(pid) }
}
