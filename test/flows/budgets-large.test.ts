/** A budget is begun by going through the calls, corrections and events of its window, not through all that there ever were. */
import { beforeAll, expect, test } from 'vitest'
import type { BudgetPeriod } from '#app/domain/budgets/budgets.ts'
import { beforeQuery, windowQuery } from '#app/domain/budgets/internal/begin-window.server.ts'
import type { Prisma } from '#app/generated/prisma/client.ts'
import { appPool } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { generateCalls, makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const countsOf = (period: BudgetPeriod) => ({ scope: 'workspace', scopeId: '', period, countsOwnKey: true }) as const
const counts = countsOf('billing_month')

/** The plan as the console's role runs it, row level security included. */
async function planOf(workspaceId: string, query: Prisma.Sql): Promise<string> {
  const client = await appPool().connect()
  try {
    await client.query('BEGIN')
    await client.query(`SELECT set_config('app.workspace_id', $1, true)`, [workspaceId])
    const { rows } = await client.query(`EXPLAIN (ANALYZE, COSTS OFF) ${query.text}`, query.values as unknown[])
    return rows.map((row) => row['QUERY PLAN']).join('\n')
  } finally {
    await client.query('ROLLBACK')
    client.release()
  }
}

/** Months whose calls were looked at. */
function monthsIn(plan: string): string[] {
  const looked = plan
    .split('\n')
    .filter((line) => line.includes(' on inference_calls_') && !line.includes('never executed'))
  return [...new Set(looked.map((line) => /inference_calls_(\d{4}_\d{2})/.exec(line)?.[1] ?? line))].sort()
}

let id = ''
beforeAll(async () => {
  id = (await makeWorkspace()).id
  await generateCalls(db.owner, { workspaceId: id, calls: 300_000, days: 180, until: '2026-11-21' })
})

test('its calls are found by when they were dispatched, late ones of the month before included', async () => {
  const earliest = async () => monthsIn(await planOf(id, beforeQuery(id, counts, '2026-11-01')))[0]
  expect(await earliest()).toBe('2026_11')
  await db.owner.query(`INSERT INTO metering.closed_months (workspace_id, month) VALUES ($1, '2026-10-01')`, [id])
  await recordAll([await makeCall(id, new Date('2026-10-31T23:59:00Z'))])
  expect(await earliest()).toBe('2026_10')
})

// While they are counted, no call of the workspace can be settled.
test('corrected costs and usage events are found by their window, beside those of half a year and a re-rate run', async () => {
  const { owner } = db
  // What was imported is in no budget.
  await owner.query('SET session_replication_role = replica')
  await owner.query(`UPDATE metering.inference_calls SET origin = 'gateway' WHERE key_source = 'platform'`)
  await owner.query('SET session_replication_role = origin')
  for (const [seq, reason, month] of [
    [1, 're_rate', `date '2026-11-01'`],
    [2, 'cost_corrected', 'billing_month'],
  ])
    await owner.query(`INSERT INTO metering.call_adjustments (workspace_id, call_id, seq, dispatched_at, billing_month, reason, reference,
        price_book_version, raw_cost_before_pico, raw_cost_pico, charge_before_pico, charge_after_pico)
      SELECT workspace_id, id, ${seq}, dispatched_at, ${month}, '${reason}', 'all', 1, raw_cost_pico, raw_cost_pico + 1, charge_pico, charge_pico + 1
        FROM metering.inference_calls`)
  await owner.query(`INSERT INTO metering.usage_events (workspace_id, source, event_id, id, meter, quantity, occurred_at, billing_month,
      price_book_version, unit_usd, amount_pico, charge_mode, credit_pico, charge_pico, content_hash)
    SELECT workspace_id, 'sandboxes', id::text, id, 'seconds', 1, dispatched_at, billing_month, 1, 0, 0, 'invoice', 0, 0, ''
      FROM metering.inference_calls`)
  for (const name of ['inference_calls', 'call_adjustments', 'usage_events'])
    await owner.query(`ANALYZE metering.${name}`)
  for (const [period, day] of [
    ['day', '2026-11-20'],
    ['month', '2026-11-01'],
    ['billing_month', '2026-11-01'],
  ] as const) {
    const before = { day, until: 'infinity', pico: '0' }
    const plan = await planOf(id, windowQuery(id, newId(), countsOf(period), before))
    expect({ period, before: monthsIn(plan).filter((month) => month < '2026_10') }).toEqual({ period, before: [] })
    expect(plan).toContain('call_adjustments_of_a_window')
    expect(plan).not.toMatch(/Seq Scan on (call_adjustments|usage_events)/)
  }
})
