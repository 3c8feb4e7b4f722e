/**
 * The analytics page among many workspaces, for the largest and the median one: milliseconds inside the database (median of nine,
 * from EXPLAIN ANALYZE, as the console's role with row level security), how much the rollups save, and how soon a call is seen.
 *   node bench/analytics.ts [calls, default 10,000,000] [workspaces, default 1,000]
 */
import { performance } from 'node:perf_hooks'
import type pg from 'pg'
import { type CallFilter, cursorAt, parseCallFilter } from '#app/domain/analytics/analytics.ts'
import { callsQuery, daysQuery } from '#app/domain/analytics/internal/find-calls.server.ts'
import { usageQuery } from '#app/domain/analytics/internal/usage-sums.server.ts'
import { importCalls } from '#app/domain/ledger/record-calls.server.ts'
import { Prisma } from '#app/generated/prisma/client.ts'
import { makeCall } from '#test/call-factory.ts'
import { fill, openWorld } from './many-workspaces.ts'

const ROUNDS = 9
const DAY_MS = 86_400_000

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

interface Sized {
  id: string
  calls: string
}

/** The page of one workspace. @returns ms of its sums */
async function page(owner: pg.Client, { id, calls }: Sized, which: string): Promise<number> {
  console.log(`\n${which} workspace, ${calls} calls`)
  await owner.query('SET ROLE keymargin_app')
  await owner.query(`SELECT set_config('app.workspace_id', $1, false)`, [id])
  const read = (query: string) =>
    parseCallFilter(new URLSearchParams(`to=2026-10-31&from=2026-10-02${query}`), new Date())
  const day = (text: string) => ({ from: Date.parse(text), to: Date.parse(text) + DAY_MS })
  const first = { after: null, limit: 51 }
  const deep = { after: cursorAt(new Date('2026-10-05T13:00:00Z')), limit: 51 }
  const print = (name: string, ms: number) => console.log(`${name.padEnd(58)} ${ms.toFixed(2).padStart(9)} ms`)
  const usage = await measure(owner, usageQuery(id, read('')))
  print('totals, by day, by model, surface, tier (one query)', usage)
  print('which days hold calls', await measure(owner, daysQuery(id, read(''))))
  print('first page', await measure(owner, callsQuery(id, read(''), day('2026-10-31'), first)))
  print('deep page (four weeks back)', await measure(owner, callsQuery(id, read(''), day('2026-10-05'), deep)))
  const one = read('&model=x-ai/grok-4.3')
  print('one model: which days', await measure(owner, daysQuery(id, one)))
  print('one model: first page', await measure(owner, callsQuery(id, one, day('2026-10-31'), first)))
  const raw = await measure(owner, rawUsageQuery(id, read('')))
  print('the same sums from the raw calls', raw)
  console.log(`rollups are ${(raw / usage).toFixed(0)} times faster`)
  await owner.query('RESET ROLE')
  return usage
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

async function main(calls: number, workspaces: number): Promise<void> {
  const world = await openWorld()
  const { owner } = world
  try {
    await fill(owner, calls, workspaces)
    const { rows } = await owner.query<Sized>(
      'SELECT workspace_id::text AS id, sum(calls)::text AS calls FROM metering.call_daily_rollups GROUP BY 1 ORDER BY sum(calls) DESC',
    )
    console.log(`${calls} calls over ${rows.length} workspaces and 31 days`)
    const largest = rows[0] as Sized
    await page(owner, largest, 'largest')
    await page(owner, rows[Math.floor(rows.length / 2)] as Sized, 'median')
    console.log(
      `\na call is on the page ${(await visibleAfter(owner, largest)).toFixed(1)} ms (p99) after the ledger has it`,
    )
  } finally {
    await world.stop()
  }
}

await main(Number(process.argv[2] ?? 10_000_000), Number(process.argv[3] ?? 1_000))
