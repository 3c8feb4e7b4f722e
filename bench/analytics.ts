/**
 * The analytics page among many workspaces, for the largest and the median one: milliseconds inside the database (median of nine,
 * from EXPLAIN ANALYZE, as the console's role with row level security), how much the rollups save against the raw calls and against a
 * covering index over them, how the page's time grows from a tenth of the calls to all (both at hand, asked in turns), and how soon a call is seen.
 *   node bench/analytics.ts [calls, default 10,000,000] [workspaces, default 1,000] [--models all|most|some] [--quick]
 * `--models`: see many-workspaces.ts. `--quick`: the large size alone.
 */
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import type pg from 'pg'
import { type CallFilter, cursorAt, parseCallFilter } from '#app/domain/analytics/analytics.ts'
import { callsQuery, daysQuery } from '#app/domain/analytics/internal/find-calls.server.ts'
import { usageQuery } from '#app/domain/analytics/internal/usage-sums.server.ts'
import { importCalls } from '#app/domain/ledger/record-calls.server.ts'
import { Prisma } from '#app/generated/prisma/client.ts'
import { makeCall } from '#test/call-factory.ts'
import { fill, isModelsUsed, type ModelsUsed, openWorld, partition } from './many-workspaces.ts'

const ROUNDS = 9
const DAY_MS = 86_400_000

/** ms in the executor. */
async function execute(client: pg.Client, query: Prisma.Sql): Promise<number> {
  const { rows } = await client.query(
    `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${query.text}`,
    query.values as unknown[],
  )
  return rows[0]['QUERY PLAN'][0]['Execution Time']
}

/** Median ms in the executor. The connection keeps the console's role and names the workspace, as inTenant does. */
async function measure(client: pg.Client, query: Prisma.Sql): Promise<number> {
  const taken: number[] = []
  for (let round = 0; round < ROUNDS; round++) taken.push(await execute(client, query))
  return taken.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] as number
}

/** The page's sums from the raw calls instead of the rollups: what the rollups are measured against. */
const rawUsageQuery = (workspaceId: string, { from, to }: CallFilter): Prisma.Sql => Prisma.sql`
  SELECT (dispatched_at AT TIME ZONE 'UTC')::date AS day, key_source, model, surface, tier, count(*), sum(input_tokens), sum(output_tokens),
    sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens), sum(raw_cost_pico), sum(tier_price_pico), sum(charge_pico)
  FROM metering.inference_calls
  WHERE workspace_id = ${workspaceId}::uuid AND dispatched_at >= ${from}::timestamptz AND dispatched_at < ${to}::timestamptz + interval '1 day'
  GROUP BY GROUPING SETS ((1, 2), (3), (4), (5))`

/** Everything that the sums need, in an index: what would be kept where no rollups were. */
const coveringIndex = `CREATE INDEX covering ON ${partition} (workspace_id, dispatched_at)
  INCLUDE (key_source, model, surface, tier, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    raw_cost_pico, tier_price_pico, charge_pico)`

interface Sized {
  id: string
  calls: string
}

const read = (query: string) =>
  parseCallFilter(new URLSearchParams(`to=2026-10-31&from=2026-10-02${query}`), new Date())
const print = (name: string, ms: number, note = '') =>
  console.log(`${name.padEnd(58)} ${ms.toFixed(2).padStart(9)} ms  ${note}`)

/** Works as the console does for one workspace: its role, and the workspace named. */
async function asConsole<T>(owner: pg.Client, id: string, work: () => Promise<T>): Promise<T> {
  await owner.query('SET ROLE keymargin_app')
  await owner.query(`SELECT set_config('app.workspace_id', $1, false)`, [id])
  try {
    return await work()
  } finally {
    await owner.query('RESET ROLE')
  }
}

/** The page of one workspace. @returns ms of its sums */
async function page(owner: pg.Client, { id, calls }: Sized, which: string): Promise<number> {
  console.log(`\n${which} workspace, ${calls} calls`)
  const day = (text: string) => ({ from: Date.parse(text), to: Date.parse(text) + DAY_MS })
  const first = { after: null, limit: 51 }
  const deep = { after: cursorAt(new Date('2026-10-05T13:00:00Z')), limit: 51 }
  const usage = await measure(owner, usageQuery(id, read('')))
  print('totals, by day, by model, surface, tier (one query)', usage)
  print('which days hold calls', await measure(owner, daysQuery(id, read(''))))
  print('first page', await measure(owner, callsQuery(id, read(''), day('2026-10-31'), first)))
  print('deep page (four weeks back)', await measure(owner, callsQuery(id, read(''), day('2026-10-05'), deep)))
  const one = read('&model=x-ai/grok-4.3')
  print('one model: which days', await measure(owner, daysQuery(id, one)))
  print('one model: first page', await measure(owner, callsQuery(id, one, day('2026-10-31'), first)))
  return usage
}

/** The page's sums from the raw calls, without and with an index that covers them, against the rollups' `usage` ms. */
async function againstCalls(owner: pg.Client, pages: { which: string; workspace: Sized; usage: number }[]) {
  const compare = async (what: string) => {
    for (const { which, workspace, usage } of pages) {
      const ms = await asConsole(owner, workspace.id, () => measure(owner, rawUsageQuery(workspace.id, read(''))))
      print(`${which}: the same sums ${what}`, ms, `the rollups are ${(ms / usage).toFixed(0)} times faster`)
    }
  }
  console.log('')
  await compare('from the raw calls')
  await owner.query(coveringIndex)
  await owner.query(`VACUUM (ANALYZE) ${partition}`)
  await compare('by a covering index')
  const { rows } = await owner.query(`SELECT pg_size_pretty(pg_relation_size('metering.covering')) AS size,
    pg_size_pretty(pg_total_relation_size('metering.call_daily_rollups')) AS rollups`)
  console.log(`the covering index takes ${rows[0].size}, the rollups with theirs ${rows[0].rollups}`)
  await owner.query('DROP INDEX metering.covering')
}

/** From the ledger's answer to the first page that shows the call, p99 of 200, ms. */
async function visibleAfter(owner: pg.Client, { id }: Sized): Promise<number> {
  const filter = parseCallFilter(new URLSearchParams('to=2026-10-31&from=2026-10-31'), new Date())
  const taken: number[] = []
  for (let n = 0; n < 200; n += 1) {
    const call = await makeCall(id, new Date(Date.UTC(2026, 9, 31, 23, 59, 50, n)))
    await importCalls([call])
    const start = performance.now()
    const query = callsQuery(
      id,
      filter,
      { from: Date.parse('2026-10-31'), to: Date.parse('2026-11-01') },
      { after: null, limit: 51 },
    )
    const { rows } = await owner.query(query.text, query.values as unknown[])
    if (!rows.some((row) => row.id === call.id)) throw new Error('a recorded call is not on the first page')
    taken.push(performance.now() - start)
  }
  return taken.sort((a, b) => a - b)[198] as number
}

/** The largest workspace's sums in turns in both databases, so that the machine's moods meet both: median of 51, ms. */
async function growth(small: pg.Client, large: pg.Client, id: string): Promise<void> {
  const taken: [number[], number[]] = [[], []]
  const query = usageQuery(id, read(''))
  for (let round = 0; round < 52; round++)
    for (const [index, client] of [small, large].entries()) {
      const ms = await asConsole(client, id, () => execute(client, query))
      if (round > 0) taken[index as 0 | 1].push(ms)
    }
  const [before, after] = taken.map((all) => all.sort((a, b) => a - b)[25] as number) as [number, number]
  console.log(
    `\nin turns, with a tenth of the calls and with all: the largest workspace's sums take ${before.toFixed(2)} and ${after.toFixed(2)} ms, ${(after / before).toFixed(2)} ×`,
  )
}

const kept = 'bench_tenth'

/** `keep`: the database stays for the run that follows, which is `against` it. */
async function run(calls: number, workspaces: number, { keep = false, against = false } = {}): Promise<void> {
  const world = await openWorld()
  const { owner } = world
  try {
    await fill(owner, calls, workspaces, models)
    const { rows } = await owner.query<Sized>(
      'SELECT workspace_id::text AS id, sum(calls)::text AS calls FROM metering.call_daily_rollups GROUP BY 1 ORDER BY sum(calls) DESC',
    )
    console.log(`\n${calls} calls over ${rows.length} workspaces and 31 days`)
    const pages = []
    const [largest, median] = [rows[0] as Sized, rows[Math.floor(rows.length / 2)] as Sized]
    for (const [which, workspace] of [
      ['largest', largest],
      ['median', median],
    ] as const) {
      const usage = await asConsole(owner, workspace.id, () => page(owner, workspace, which))
      pages.push({ which, workspace, usage })
    }
    if (against) {
      const tenth = await world.connect(kept)
      await growth(tenth, owner, largest.id).finally(() => tenth.end())
      await owner.query(`DROP DATABASE ${kept} WITH (FORCE)`)
    }
    await againstCalls(owner, pages)
    console.log(
      `a call is on the page ${(await visibleAfter(owner, largest)).toFixed(1)} ms (p99) after the ledger has it`,
    )
  } finally {
    await world.stop(keep ? kept : undefined)
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { models: { type: 'string', default: 'most' }, quick: { type: 'boolean' } },
})
if (!isModelsUsed(values.models)) throw new Error('--models takes all, most or some')
const models: ModelsUsed = values.models
const calls = Number(positionals[0] ?? 10_000_000)
const workspaces = Number(positionals[1] ?? 1_000)
if (!values.quick) await run(Math.round(calls / 10), workspaces, { keep: true })
await run(calls, workspaces, { against: !values.quick })
