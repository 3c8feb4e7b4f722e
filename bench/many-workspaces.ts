import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { parseEnv } from '#app/platform/env.server.ts'
import { dropSingleton, singleton } from '#app/platform/singleton.server.ts'
import { ensureLogin, migrateDatabase } from '#scripts/migrations.ts'
import { startEmbeddedPostgres } from '#scripts/postgres/embedded.ts'

const database = 'bench_close'
const seed = path.resolve(import.meta.dirname, '../prisma/seed/tier-margin.json')

export interface ManyWorkspaces {
  /** Superuser: sees every workspace. */
  owner: pg.Client
  /** Another database of the same server, as superuser. */
  connect(name: string): Promise<pg.Client>
  /** Throws the database away, or keeps it under another name for a later world of this bench. */
  stop(keepAs?: string): Promise<void>
}

/** A fresh, migrated database on a server of its own, and this process's settings pointed at it. */
export async function openWorld(): Promise<ManyWorkspaces> {
  const folder = path.resolve(import.meta.dirname, '../.keymargin/bench-close')
  // A cache that holds the running month's rollups, as a server that records calls has them at hand anyway, and no partition's calls.
  const cluster = await startEmbeddedPostgres(folder, ['max_wal_size=8GB', 'shared_buffers=2GB', 'jit=off'])
  const admin = new pg.Client({ connectionString: cluster.url })
  await admin.connect()
  await admin.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
  await admin.query(`CREATE DATABASE ${database}`)
  await admin.end()
  const ownerUrl = new URL(cluster.url)
  ownerUrl.pathname = `/${database}`
  await migrateDatabase(ownerUrl.href)
  await ensureLogin(ownerUrl.href, 'keymargin_bench', 'bench')
  const appUrl = new URL(ownerUrl)
  Object.assign(appUrl, { username: 'keymargin_bench', password: 'bench' })
  singleton('env', () =>
    parseEnv({
      NODE_ENV: 'test',
      LOG_LEVEL: 'silent',
      PORT: '0',
      DATABASE_URL: appUrl.href,
      SECRETS_PHRASE: 'bench-only phrase, long enough to be accepted',
      STRIPE_SECRET_KEY: 'sk_test_bench',
      STRIPE_WEBHOOK_SECRET: 'whsec_bench',
      OPENROUTER_PLATFORM_KEY: 'sk-or-v1-bench',
      KEYMARGIN_SANDBOX: '1',
    }),
  )
  await loadCatalogueFile(JSON.parse(readFileSync(seed, 'utf8')), new Date())
  await openVault()
  const owner = new pg.Client({ connectionString: ownerUrl.href })
  await owner.connect()
  return {
    owner,
    connect: async (name) => {
      const url = new URL(ownerUrl)
      url.pathname = `/${name}`
      const client = new pg.Client({ connectionString: url.href })
      await client.connect()
      return client
    },
    stop: async (keepAs) => {
      await closeDatabase()
      for (const name of ['env', 'keks', 'catalogue', 'process-secrets']) dropSingleton(name)
      await owner.end()
      const last = new pg.Client({ connectionString: cluster.url })
      await last.connect()
      await last.query(`DROP DATABASE IF EXISTS ${keepAs ?? database} WITH (FORCE)`)
      if (keepAs) await last.query(`ALTER DATABASE ${database} RENAME TO ${keepAs}`)
      await last.end()
      await cluster.stop()
    },
  }
}

/** Names the month that the bench closes, and its partition. */
export const month = '2026-10'
export const partition = 'metering.inference_calls_2026_10'

/**
 * How many of the ten models a workspace calls, evenly over the workspaces: `all` ten, so that a small one has nearly a rollup row
 * per call; `most`, seven to ten; `some`, one to ten. No public trace says how many models a customer uses (the Azure trace names
 * neither customers nor models). Our aims were set where rollups are 16.6 times fewer than calls: with `most` they are 15 times
 * fewer, with `all` 11, with `some` 25.
 */
const kinds = { all: 1, most: 4, some: 10 }
export type ModelsUsed = keyof typeof kinds
export const isModelsUsed = (text: string): text is ModelsUsed => Object.hasOwn(kinds, text)

/**
 * Calls of one month over `workspaces`, unevenly: the largest makes a tenth of them all, the smaller half a fifth. Three surfaces;
 * a model is called under one key. Made inside PostgreSQL; their rollups are the recount's.
 */
export async function fill(owner: pg.Client, calls: number, workspaces: number, used: ModelsUsed): Promise<void> {
  await owner.query(
    `INSERT INTO workspaces (id, slug, name, plan_id)
     SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'w' || n, 'Workspace ' || n, 'enterprise'
     FROM generate_series(0, $1::int - 1) n`,
    [workspaces],
  )
  await owner.query(`SELECT metering.ensure_month_partition('${month}-01'::date)`)
  await owner.query(
    `INSERT INTO metering.inference_calls (workspace_id, dispatched_at, id, billing_month, origin, surface, provider, model, tier,
       key_source, streamed, status, http_status, input_tokens, output_tokens, usage_source, raw_cost_pico, cost_source,
       price_book_version, tier_price_pico, charge_mode, charge_pico, latency_ms)
     SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(w), 12, '0'))::uuid, to_timestamp(ms / 1000.0),
       (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid, '${month}-01', 'import',
       surface, 'openrouter', model, tier, key_source, true, 'ok', 200, input, output, 'imported', raw, 'imported', 1, price,
       CASE key_source WHEN 'workspace' THEN 'tier_margin' ELSE 'tier' END,
       CASE key_source WHEN 'workspace' THEN greatest(0, price - raw) ELSE price END, 500 + n % 4000
     FROM (
       SELECT *, input * 3500000 + output * 17500000 AS price, (input * 3500000 + output * 17500000) / 10 * (n % 12) AS raw,
         (ARRAY['anthropic/claude-opus-4.6','openai/gpt-5.2','google/gemini-3-pro','anthropic/claude-sonnet-4.6','x-ai/grok-4.3',
           'moonshotai/kimi-k2.6','openai/gpt-5-mini','google/gemini-3-flash','deepseek/deepseek-v4-flash','qwen/qwen3.5-plus'])[1 + m] AS model,
         (ARRAY['frontier','frontier','frontier','balanced','balanced','balanced','cost_effective','cost_effective','cost_effective','cost_effective'])[1 + m] AS tier,
         CASE WHEN m % 2 = 0 THEN 'workspace' ELSE 'platform' END AS key_source
       FROM (
         SELECT *, n % (10 - w % $3::int) AS m FROM (
           SELECT n, least($2::int - 1, floor($2::int * power(abs(hashint8(n)::float8 / 2147483648.0), 3)))::int AS w,
             extract(epoch FROM timestamptz '${month}-01 00:00Z')::bigint * 1000 + n * (31 * 86400000::bigint) / $1::bigint AS ms,
             200 + n % 3000 AS input, 10 + n % 700 AS output,
             (ARRAY['agent_run','semantic_search','document_ocr'])[1 + n % 3] AS surface
           FROM generate_series(0, $1::bigint - 1) AS n) AS dealt) AS drawn) AS made`,
    [calls, workspaces, kinds[used]],
  )
  // As life lays them down: a day's rows together, those of one workspace far apart.
  await owner.query(
    'INSERT INTO metering.call_daily_rollups SELECT * FROM metering.call_daily_recount ORDER BY day, hashtext(workspace_id || model || surface)',
  )
  await owner.query('VACUUM (FREEZE, ANALYZE) metering.inference_calls')
  await owner.query('VACUUM (FREEZE, ANALYZE) metering.call_daily_rollups')
  // What was just written is on its way to the disk for minutes, which the first measurements would pay for.
  await owner.query('CHECKPOINT')
}

/** Milliseconds that this database's sessions have spent executing since it was made. */
export async function databaseMs(owner: pg.Client): Promise<number> {
  await owner.query('SELECT pg_stat_force_next_flush()')
  await owner.query('SELECT pg_stat_clear_snapshot()')
  const { rows } = await owner.query('SELECT active_time FROM pg_stat_database WHERE datname = current_database()')
  return Number(rows[0].active_time)
}

/** The most resident memory that any process of the database server has had, MiB; null where the machine does not tell. */
export function databasePeakMiB(pid: number): number | null {
  try {
    const parentOf = (child: string) => /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${child}/status`, 'utf8'))?.[1]
    const children = readdirSync('/proc').filter((name) => {
      try {
        return /^\d+$/.test(name) && parentOf(name) === String(pid)
      } catch {
        return false
      }
    })
    const peak = (child: string) =>
      Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${child}/status`, 'utf8'))?.[1] ?? 0)
    return Math.max(...children.map(peak)) / 1024
  } catch {
    return null
  }
}
