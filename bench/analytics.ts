/**
 * The analytics page on a workspace with a million calls in 30 days: milliseconds inside the database (median of nine, from
 * EXPLAIN ANALYZE, as the console's role with row level security), and how much the rollups save.
 *   node bench/analytics.ts [calls]
 */
import path from 'node:path'
import pg from 'pg'
import { type CallFilter, cursorAt, parseCallFilter } from '#app/domain/analytics/analytics.ts'
import { callsQuery, daysQuery } from '#app/domain/analytics/internal/find-calls.server.ts'
import { usageQuery } from '#app/domain/analytics/internal/usage-sums.server.ts'
import { Prisma } from '#app/generated/prisma/client.ts'
import { newId } from '#app/platform/ids.ts'
import { migrateDatabase } from '#scripts/migrations.ts'
import { startEmbeddedPostgres } from '#scripts/postgres/embedded.ts'
import { generateCalls } from '#test/call-factory.ts'

const ROUNDS = 9
const DATABASE = 'bench_analytics'
const UNTIL = '2026-11-21'
const DAY_MS = 86_400_000

async function freshDatabase(clusterUrl: string): Promise<pg.Client> {
  const admin = new pg.Client({ connectionString: clusterUrl })
  await admin.connect()
  await admin.query(`DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`)
  await admin.query(`CREATE DATABASE ${DATABASE}`)
  await admin.end()
  const url = new URL(clusterUrl)
  url.pathname = `/${DATABASE}`
  await migrateDatabase(url.href)
  const owner = new pg.Client({ connectionString: url.href })
  await owner.connect()
  return owner
}

async function fill(owner: pg.Client, workspaceId: string, calls: number): Promise<void> {
  await owner.query(
    `INSERT INTO plans VALUES ('enterprise', 'tier-margin', 'Enterprise', 3, '{openrouter}', 'tier', 'tier_margin')`,
  )
  for (const [id, slug] of [
    [workspaceId, 'large'],
    [newId(), 'neighbour'],
  ] as const)
    await owner.query(`INSERT INTO workspaces (id, slug, name, plan_id) VALUES ($1, $2, $2, 'enterprise')`, [id, slug])
  await generateCalls(owner, { workspaceId, calls, days: 30, until: UNTIL })
  // one model that was used 40 times on one day, among that day's tens of thousands of calls
  await owner.query(
    `INSERT INTO metering.inference_calls SELECT workspace_id, dispatched_at, gen_random_uuid(), billing_month, clock_timestamp(), origin,
       token_id, surface, provider, 'rare/model', response_model, tier, key_source, key_id, key_version, streamed, status, http_status,
       error_code, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_source, raw_cost_pico,
       cost_source, cost_clamped, price_book_version, tier_price_pico, charge_mode, charge_pico, latency_ms, first_byte_ms, upstream_id
     FROM metering.inference_calls WHERE dispatched_at >= '2026-11-07 06:00Z' AND dispatched_at < '2026-11-07 07:00Z' LIMIT 40`,
  )
  await owner.query(
    `INSERT INTO metering.call_daily_rollups SELECT * FROM metering.call_daily_recount WHERE workspace_id = $1 AND model = 'rare/model'`,
    [workspaceId],
  )
  await owner.query('VACUUM ANALYZE metering.inference_calls')
  await owner.query('VACUUM ANALYZE metering.call_daily_rollups')
}

/** Median ms in the executor. The connection keeps the console's role and names the workspace, as inTenant does. */
async function measure(client: pg.Client, query: Prisma.Sql): Promise<number> {
  const taken: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const { rows } = await client.query(
      `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${query.text}`,
      query.values as unknown[],
    )
    taken.push(rows[0]['QUERY PLAN'][0]['Execution Time'])
  }
  return taken.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] as number
}

/** The page's sums from the raw calls instead of the rollups: what the rollups are measured against. */
const rawUsageQuery = (workspaceId: string, { from, to }: CallFilter): Prisma.Sql => Prisma.sql`
  SELECT (dispatched_at AT TIME ZONE 'UTC')::date AS day, key_source, model, surface, tier, count(*), sum(input_tokens), sum(output_tokens),
    sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens), sum(raw_cost_pico), sum(tier_price_pico), sum(charge_pico)
  FROM metering.inference_calls
  WHERE workspace_id = ${workspaceId}::uuid AND dispatched_at >= ${from}::timestamptz AND dispatched_at < ${to}::timestamptz + interval '1 day'
  GROUP BY GROUPING SETS ((1, 2), (3), (4), (5))`

async function main(calls: number): Promise<void> {
  const folder = path.resolve(import.meta.dirname, '../.keymargin/bench-postgres')
  const cluster = await startEmbeddedPostgres(folder, ['fsync=off', 'full_page_writes=off', 'jit=off'])
  const owner = await freshDatabase(cluster.url)
  try {
    const workspaceId = newId()
    await fill(owner, workspaceId, calls)
    const { rows } = await owner.query('SELECT count(*)::int AS n FROM metering.call_daily_rollups')
    console.log(`${calls} calls over 30 days, ${rows[0].n} rollup rows`)
    await owner.query('SET ROLE keymargin_app')
    await owner.query(`SELECT set_config('app.workspace_id', $1, false)`, [workspaceId])

    const read = (query: string) =>
      parseCallFilter(new URLSearchParams(`to=${UNTIL}&from=2026-10-22${query}`), new Date())
    const day = (text: string) => ({ from: Date.parse(text), to: Date.parse(text) + DAY_MS })
    const first = { after: null, limit: 51 }
    const deep = { after: cursorAt(new Date('2026-10-25T13:00:00Z')), limit: 51 }
    const rare = read('&model=rare/model')
    const usage = await measure(owner, usageQuery(workspaceId, read('')))
    const print = (name: string, ms: number) => console.log(`${name.padEnd(58)} ${ms.toFixed(2).padStart(9)} ms`)
    print('totals, by day, by model, surface, tier (one query)', usage)
    print('which days hold calls', await measure(owner, daysQuery(workspaceId, read(''))))
    print('first page', await measure(owner, callsQuery(workspaceId, read(''), day('2026-11-20'), first)))
    print(
      'deep page (four weeks back)',
      await measure(owner, callsQuery(workspaceId, read(''), day('2026-10-25'), deep)),
    )
    print('rare model: which days', await measure(owner, daysQuery(workspaceId, rare)))
    print('rare model: 40 of one day', await measure(owner, callsQuery(workspaceId, rare, day('2026-11-07'), first)))
    const raw = await measure(owner, rawUsageQuery(workspaceId, read('')))
    print('the same sums from the raw calls', raw)
    console.log(`rollups are ${(raw / usage).toFixed(0)} times faster`)
    await owner.query('RESET ROLE')
  } finally {
    await owner.end()
    await cluster.stop()
  }
}

await main(Number(process.argv[2] ?? 1_000_000))
