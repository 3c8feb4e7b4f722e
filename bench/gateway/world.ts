import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { loadCatalogueFile } from '#app/domain/pricing/load-catalogue-file.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { parseEnv } from '#app/platform/env.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { ensureLogin, migrateDatabase } from '#scripts/migrations.ts'
import { startEmbeddedPostgres } from '#scripts/postgres/embedded.ts'
import { makeGatewayToken, makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'
import type { Target } from './load.ts'

const database = 'bench_gateway'

export interface BenchWorld {
  targets: Target[]
  owner: pg.Client
  stop(): Promise<void>
}

type Settings = Record<string, string | undefined>

interface Child {
  process: ChildProcess
  origin: string
}

async function startChild(file: string, args: string[], env: Settings): Promise<Child> {
  const child = spawn(process.execPath, [path.resolve(import.meta.dirname, file), ...args], {
    env: env as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return { process: child, origin: JSON.parse(line.toString()).origin }
}

/** A database as an installation has it: durable, migrated, with one workspace that has a key of its own. */
async function prepare(clusterUrl: string, upstream: string) {
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
    PROVIDER_BASE_URL_OPENROUTER: `${upstream}/api/v1`,
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
  return { settings, token, owner }
}

/** Everything the comparison needs: an upstream, the bare pass-through in front of it, and Keymargin in front of it. */
export async function startWorld(): Promise<BenchWorld> {
  const cluster = await startEmbeddedPostgres(path.resolve('.keymargin/bench-postgres'))
  const plain = { PATH: process.env.PATH, HOME: process.env.HOME }
  const upstream = await startChild('upstream.ts', [], plain)
  const pass = await startChild('pass-through.ts', [upstream.origin], plain)
  const { settings, token, owner } = await prepare(cluster.url, upstream.origin)
  const gateway = await startChild('../../test/gateway-process.ts', [], { ...plain, ...settings })
  const path1 = '/api/v1/chat/completions'
  return {
    owner,
    targets: [
      { name: 'direct', origin: upstream.origin, path: path1, token, pid: null },
      { name: 'pass-through', origin: pass.origin, path: path1, token, pid: pass.process.pid ?? null },
      {
        name: 'keymargin',
        origin: gateway.origin,
        path: '/v1/chat/completions',
        token,
        pid: gateway.process.pid ?? null,
      },
    ],
    async stop() {
      for (const child of [gateway, pass, upstream]) child.process.kill()
      await owner.end()
      await cluster.stop()
    },
  }
}
