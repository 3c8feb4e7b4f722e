import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { parseEnv } from '#app/platform/env.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { ensureLogin, migrateDatabase } from '#scripts/migrations.ts'
import { startEmbeddedPostgres } from '#scripts/postgres/embedded.ts'
import { makeGatewayToken, makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'
import type { Target } from './connection.ts'
import { onGatewayCore } from './cores.ts'

const database = 'bench_gateway'
const clusterDir = path.resolve('.keymargin/bench-postgres')
/** Where `--profile` leaves what it measured, for a viewer. */
export const profileFile = path.resolve('.keymargin/gateway.cpuprofile')

export type TargetName = 'direct' | 'pass' | 'pass+tail' | 'keymargin' | 'unmetered' | 'pass+ledger'

export interface World {
  target(name: TargetName): Target
  /** Another process of the gateway, that served nothing yet. */
  startFresh(): Promise<{ target: Target; stop(): Promise<void>; kill(): Promise<void> }>
  /** Ends the application's connections and lets no new ones in. */
  cutOffDatabase(): Promise<void>
  letInDatabase(): Promise<void>
  upstreamPort: number
  upstreamPid: number
  owner: pg.Client
  /** Process id of the database server. */
  databasePid: number
  stop(): Promise<void>
}

type Settings = Record<string, string | undefined>

interface Child {
  process: ChildProcess
  port: number
}

/** Nothing that was started here outlives this process. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill()
})

/** As `npm run start:web` starts the web process; the pass-throughs get the same. */
const nodeFlags = ['--max-semi-space-size=32']

async function startChild(file: string, args: string[], env: Settings, underTest = true): Promise<Child> {
  const script = [path.resolve(import.meta.dirname, file), ...args]
  const [program, all] = underTest
    ? onGatewayCore(process.execPath, [...nodeFlags, ...script])
    : [process.execPath, script]
  const child = spawn(program, all, { env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'inherit'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return { process: child, port: Number(new URL(JSON.parse(line.toString()).origin).port) }
}

async function stopChild({ process: child }: Child, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const end = once(child, 'exit')
  child.kill(signal)
  await end
}

/** A server of its own that was started on the cores it is to have; one that an earlier run left is on any. */
async function startCluster() {
  const found = await startEmbeddedPostgres(clusterDir)
  if (!found.adopted) return found
  await found.stop()
  return startEmbeddedPostgres(clusterDir)
}

/** A database as an installation has it: durable, migrated, with one workspace that has a key of its own. */
async function prepare(clusterUrl: string, upstreamPort: number) {
  const admin = new pg.Client({ connectionString: clusterUrl })
  await admin.connect()
  await admin.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
  await admin.query(`CREATE DATABASE ${database}`)
  await admin.end()
  const url = new URL(clusterUrl)
  url.pathname = `/${database}`
  await migrateDatabase(url.href)
  await ensureLogin(url.href, 'keymargin_bench', 'bench')
  const login = new URL(url)
  login.username = 'keymargin_bench'
  login.password = 'bench'
  const settings = {
    NODE_ENV: 'test',
    LOG_LEVEL: 'error',
    DATABASE_URL: login.href,
    SECRETS_PHRASE: randomBytes(48).toString('base64'),
    STRIPE_SECRET_KEY: 'sk_test_bench',
    STRIPE_WEBHOOK_SECRET: 'whsec_bench',
    OPENROUTER_PLATFORM_KEY: `sk-or-v1-${'b'.repeat(64)}`,
    PROVIDER_BASE_URL_OPENROUTER: `http://127.0.0.1:${upstreamPort}/api/v1`,
    KEYMARGIN_SANDBOX: '1',
  }
  singleton('env', () => parseEnv(settings as unknown as NodeJS.ProcessEnv))
  await loadCatalogueFile(JSON.parse(readFileSync('prisma/seed/tier-margin.json', 'utf8')), new Date())
  await openVault()
  const workspace = await makeWorkspace()
  const member = await makeMember(workspace.id, 'owner')
  await saveKeyDirectly(member, `sk-or-v1-${'c'.repeat(64)}`)
  const token = await makeGatewayToken(member)
  await closeDatabase()
  const owner = new pg.Client({ connectionString: url.href })
  await owner.connect()
  await owner.query('SELECT metering.ensure_month_partition(current_date)')
  const { rows } = await owner.query(
    "INSERT INTO workspaces (id, slug, name, plan_id) SELECT gen_random_uuid(), 'bench-bare', 'Bare', plan_id FROM workspaces LIMIT 1 RETURNING id::text",
  )
  return { settings: { ...settings, BENCH_WORKSPACE: rows[0].id as string }, token, owner }
}

/** Everything the comparison needs: an upstream, what stands bare in front of it, and Keymargin in front of it. */
export async function startWorld({ profiled = false } = {}): Promise<World> {
  const cluster = await startCluster()
  const databasePid = Number(readFileSync(path.join(clusterDir, 'data/postmaster.pid'), 'utf8').split('\n')[0])
  const plain = { PATH: process.env.PATH, HOME: process.env.HOME, NODE_OPTIONS: process.env.NODE_OPTIONS }
  const upstream = await startChild('upstream.ts', [], plain, false)
  const { settings, token, owner } = await prepare(cluster.url, upstream.port)
  const origin = `http://127.0.0.1:${upstream.port}`
  const full = { ...plain, ...settings }
  const children: Record<TargetName, Child> = {
    direct: upstream,
    pass: await startChild('pass-through.ts', [origin], plain),
    'pass+tail': await startChild('pass-through.ts', [origin, 'tail'], plain),
    keymargin: profiled
      ? await startChild('profiled-process.ts', [profileFile], full)
      : await startChild('../../test/gateway-process.ts', [], full),
    unmetered: await startChild('unmetered-process.ts', [], full),
    'pass+ledger': await startChild('pass-through.ts', [origin, 'ledger'], full),
  }
  const targetOf = (name: TargetName, { port, process: child }: Child): Target => {
    const path = name === 'keymargin' || name === 'unmetered' ? '/v1/chat/completions' : '/api/v1/chat/completions'
    return { name, port, path, token, pid: name === 'direct' ? null : (child.pid ?? null) }
  }
  return {
    owner,
    databasePid,
    upstreamPort: upstream.port,
    upstreamPid: upstream.process.pid as number,
    target: (name) => targetOf(name, children[name]),
    async startFresh() {
      const child = await startChild('../../test/gateway-process.ts', [], full)
      return {
        target: targetOf('keymargin', child),
        stop: () => stopChild(child),
        kill: () => stopChild(child, 'SIGKILL'),
      }
    },
    async cutOffDatabase() {
      await owner.query(`ALTER DATABASE ${database} CONNECTION LIMIT 0`)
      await owner.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      )
    },
    letInDatabase: async () => void (await owner.query(`ALTER DATABASE ${database} CONNECTION LIMIT -1`)),
    async stop() {
      await Promise.all(Object.values(children).map((child) => stopChild(child)))
      await owner.end()
      await cluster.stop()
    },
  }
}

/** What the upstream says of itself: bytes that its kernel took for large replies, and chat requests that arrived. */
async function askUpstream(world: World): Promise<{ handedOver: number; served: number }> {
  const response = await fetch(`http://127.0.0.1:${world.upstreamPort}/`)
  return (await response.json()) as { handedOver: number; served: number }
}

export const handedOver = async (world: World): Promise<number> => (await askUpstream(world)).handedOver
export const servedBy = async (world: World): Promise<number> => (await askUpstream(world)).served
