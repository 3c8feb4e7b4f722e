/**
 * The close of a month: from the rollups, with invoices and lines, against a plain aggregate over the same calls; the proof by a
 * recount of every call; and the ledger's own writes. Ratios of one run, at two sizes: how the time grows.
 *   node bench/close.ts [calls, default 10,000,000] [workspaces, default 1,000] [--models all|most|some] [--quick]
 * `--models`: see many-workspaces.ts. `--quick`: the large size alone. The recount by every
 * column takes minutes at ten million calls: it is made at the small size, and with `--full-proof` at both.
 */
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import type pg from 'pg'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { checkRollups } from '#app/domain/billing/internal/check-calls.server.ts'
import type { CallRecord } from '#app/domain/ledger/ledger.ts'
import { importCalls } from '#app/domain/ledger/record-calls.server.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { makeCall } from '#test/call-factory.ts'
import {
  databaseMs,
  databasePeakMiB,
  fill,
  isModelsUsed,
  type ModelsUsed,
  month,
  openWorld,
  partition,
} from './many-workspaces.ts'

const groups = `workspace_id, charge_mode, tier, key_source, price_book_version`
const sums = (calls: string) =>
  `${calls} AS calls, sum(input_tokens) AS input, sum(output_tokens) AS output, sum(raw_cost_pico) AS raw, sum(tier_price_pico) AS price, sum(charge_pico) AS charge`
const plain = `SELECT ${groups}, ${sums('count(*)')} FROM ${partition} GROUP BY ${groups}`
const fromRollups = `SELECT ${groups}, ${sums('sum(calls)')} FROM metering.call_daily_rollups WHERE billing_month = '${month}-01' GROUP BY ${groups}`
/**
 * Every call counted again in the columns that are billed, with what became known of held calls since, and compared with the
 * rollups; nothing may be left over on either side.
 */
const proof = `WITH counted AS (${plain}), known AS (
    SELECT c.workspace_id, c.charge_mode, c.tier, c.key_source, c.price_book_version, sum(coalesce(k.raw_cost_pico, 0)) AS raw,
      sum(k.charge_pico) AS charge
    FROM metering.call_corrections k
    JOIN ${partition} c ON c.workspace_id = k.workspace_id AND c.dispatched_at = k.dispatched_at AND c.id = k.call_id GROUP BY 1, 2, 3, 4, 5
  ), recounted AS (
    SELECT ${groups}, n.calls, n.input, n.output, n.raw + coalesce(known.raw, 0) AS raw, n.price, n.charge + coalesce(known.charge, 0) AS charge
    FROM counted n LEFT JOIN known USING (${groups})
  ), kept AS (${fromRollups})
  SELECT count(*)::int AS differences FROM (
    (SELECT * FROM recounted EXCEPT ALL SELECT * FROM kept) UNION ALL (SELECT * FROM kept EXCEPT ALL SELECT * FROM recounted)) d`
/** The same by every column of the rollups: what finds the rollup that is wrong. */
const fullProof = `SELECT count(*)::int AS differences FROM (
  (SELECT * FROM metering.call_daily_recount EXCEPT ALL SELECT * FROM metering.call_daily_rollups)
  UNION ALL (SELECT * FROM metering.call_daily_rollups EXCEPT ALL SELECT * FROM metering.call_daily_recount)) d`

const rounds = 3

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const start = performance.now()
  const value = await work()
  return { ms: performance.now() - start, value }
}

/** Median over a few rounds, the first left out: it warms the cache for all of them. */
async function median(owner: pg.Client, sql: string): Promise<number> {
  const taken: number[] = []
  for (let round = 0; round <= rounds; round += 1) {
    const { ms } = await timed(() => owner.query(sql))
    if (round > 0) taken.push(ms)
  }
  return taken.sort((a, b) => a - b)[Math.floor(rounds / 2)] as number
}

interface Figures {
  calls: number
  plainMs: number
  rollupMs: number
  proofMs: number
  closeMs: number
  closeDatabaseMs: number
  lines: number
}

/**
 * Every workspace's month, frozen by the product's own code. One after another: two at once would wait for each other's processor,
 * and their waiting would count as the database's time.
 */
async function closeAll(owner: pg.Client): Promise<{ ms: number; databaseMs: number }> {
  const { rows } = await owner.query<{ id: string }>(
    'SELECT DISTINCT workspace_id::text AS id FROM metering.call_daily_rollups',
  )
  const before = await databaseMs(owner)
  const now = new Date('2026-11-03T00:10:00Z')
  const { ms } = await timed(async () => {
    for (const { id } of rows) await freezeInvoiceRun({ workspaceId: id, month: parseMonth(month), now })
  })
  // A session's time is counted when it has nothing to do.
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  return { ms, databaseMs: (await databaseMs(owner)) - before }
}

async function requireEqual(owner: pg.Client): Promise<number> {
  const { rows } = await owner.query<{ lines: string; billed: string; called: string }>(`
    SELECT (SELECT count(*) FROM invoice_lines)::text AS lines,
      (SELECT sum(exact_pico) FROM invoice_runs)::text AS billed, (SELECT sum(charge_pico) FROM ${partition})::text AS called`)
  const { lines = '0', billed, called } = rows[0] ?? {}
  if (billed !== called) throw new Error(`the invoices come to ${billed} pico-dollars, the calls to ${called}`)
  return Number(lines)
}

/** What Verify and the nightly comparison do, for the workspace with the most calls. */
async function verifyLargest(owner: pg.Client): Promise<{ ms: number; calls: number }> {
  const { rows } = await owner.query<{ id: string; calls: number }>(
    'SELECT workspace_id::text AS id, sum(calls)::float8 AS calls FROM metering.call_daily_rollups GROUP BY 1 ORDER BY 2 DESC LIMIT 1',
  )
  const { id, calls } = rows[0] as { id: string; calls: number }
  const { ms, value } = await timed(() => checkRollups(id, parseMonth(month), 50))
  if (value.length) throw new Error(`${value.length} sums of the largest workspace differ from its calls`)
  return { ms, calls }
}

async function requireNone(owner: pg.Client, sql: string): Promise<void> {
  const { rows } = await owner.query<{ differences: number }>(sql)
  if (rows[0]?.differences !== 0) throw new Error(`${rows[0]?.differences} rollup rows differ from the calls`)
}

async function run(calls: number, workspaces: number, full: boolean): Promise<Figures> {
  const world = await openWorld()
  const { owner } = world
  try {
    const filled = await timed(() => fill(owner, calls, workspaces, models))
    // For both sides: sums by six thousand groups do not fit into the default of 4 MB, and were sorted on disk.
    await owner.query(`SET work_mem = '64MB'`)
    const { rows } = await owner.query('SELECT count(*)::int AS n FROM metering.call_daily_rollups')
    console.log(
      `\n${calls} calls, ${workspaces} workspaces, ${rows[0].n} rollup rows (made in ${(filled.ms / 1000).toFixed(0)} s)`,
    )
    const plainMs = await median(owner, plain)
    const rollupMs = await median(owner, fromRollups)
    const proofMs = await median(owner, proof)
    await requireNone(owner, proof)
    const fullMs = full ? (await timed(() => requireNone(owner, fullProof))).ms : null
    const verify = await verifyLargest(owner)
    const close = await closeAll(owner)
    const lines = await requireEqual(owner)
    const print = (what: string, ms: number, note = '') =>
      console.log(
        `${what.padEnd(52)} ${ms.toFixed(1).padStart(9)} ms  ${(ms / plainMs).toFixed(3).padStart(7)} × plain  ${note}`,
      )
    print('plain aggregate over the partition', plainMs)
    print('the same sums from the rollups', rollupMs, `${(plainMs / rollupMs).toFixed(0)} times faster`)
    print('proof: recount of every call against the rollups', proofMs, '0 differences')
    if (fullMs !== null) print('the same by every column of the rollups, once', fullMs, '0 differences')
    print('Verify: rollups of the largest workspace, all its days', verify.ms, `${verify.calls} calls, 0 differences`)
    print('close, whole job, time in the database', close.databaseMs, `${lines} lines, equal to the pico-dollar`)
    print('close, whole job, wall clock, one after another', close.ms)
    const { rows: server } = await owner.query('SELECT pg_backend_pid() AS pid')
    const parent = databaseParent(server[0].pid)
    console.log(
      `peak memory: this process ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB, largest database process ${databasePeakMiB(parent)?.toFixed(0) ?? '?'} MiB`,
    )
    await ledgerWrites(owner)
    return { calls, plainMs, rollupMs, proofMs, closeMs: close.ms, closeDatabaseMs: close.databaseMs, lines }
  } finally {
    await world.stop()
  }
}

/** The ledger's writes with their rollups in one transaction, against rows inserted one by one without any. */
async function ledgerWrites(owner: pg.Client): Promise<void> {
  const workspaceId = '00000000-0000-7000-8000-000000000001'
  const at = (n: number) => new Date(Date.UTC(2026, 10, 1, 0, 0, 0, n))
  await owner.query(`SELECT metering.ensure_month_partition('2026-11-01'::date)`)
  const batches = 40
  const size = 500
  const all: CallRecord[] = []
  for (let n = 0; n < batches * size; n += 1) all.push(await makeCall(workspaceId, at(n)))
  const batched = await timed(async () => {
    for (let n = 0; n < batches; n += 1) await importCalls(all.slice(n * size, (n + 1) * size))
  })
  const single = 4_000
  await owner.query('CREATE TABLE metering.single (LIKE metering.inference_calls INCLUDING ALL)')
  const one = await timed(async () => {
    for (let n = 0; n < single; n += 1)
      await owner.query({
        name: 'single',
        text: `INSERT INTO metering.single SELECT * FROM metering.inference_calls WHERE workspace_id = $1 AND dispatched_at = $2 AND id = $3`,
        values: [workspaceId, all[n]?.dispatchedAt, all[n]?.id],
      })
  })
  const [together, alone] = [(batches * size * 1000) / batched.ms, (single * 1000) / one.ms]
  console.log(
    `ledger: ${together.toFixed(0)} rows/s with rollups in batches of ${size}, ${alone.toFixed(0)} rows/s one by one without: ${(together / alone).toFixed(1)} ×`,
  )
}

function databaseParent(backend: number): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${backend}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

const growth = (small: Figures, large: Figures) => (of: (figures: Figures) => number) =>
  `${(of(large) / of(small)).toFixed(1)} ×`

async function main(calls: number, workspaces: number, { quick = false, everyColumn = false }): Promise<void> {
  const small = quick ? null : await run(Math.round(calls / 10), workspaces, true)
  const large = await run(calls, workspaces, everyColumn)
  if (!small) return
  const grows = growth(small, large)
  console.log(
    `\nfrom ${small.calls} to ${large.calls} calls: plain ${grows((f) => f.plainMs)}, from rollups ${grows((f) => f.rollupMs)}, proof ${grows((f) => f.proofMs)}, close in the database ${grows((f) => f.closeDatabaseMs)}`,
  )
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: 'string', default: 'most' },
    quick: { type: 'boolean' },
    'full-proof': { type: 'boolean' },
  },
})
if (!isModelsUsed(values.models)) throw new Error('--models takes all, most or some')
const models: ModelsUsed = values.models
await main(Number(positionals[0] ?? 10_000_000), Number(positionals[1] ?? 1_000), {
  ...(values.quick && { quick: true }),
  ...(values['full-proof'] && { everyColumn: true }),
})
