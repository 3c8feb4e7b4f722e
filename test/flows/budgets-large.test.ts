/** A budget of a billing month is begun by going through that month's calls, not through all that there ever were. */
import { expect, test } from 'vitest'
import { beforeQuery } from '#app/domain/budgets/internal/begin-window.server.ts'
import { appPool } from '#app/platform/db.server.ts'
import { generateCalls, makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const counts = { scope: 'workspace', scopeId: '', period: 'billing_month', countsOwnKey: true } as const

/** The plan as the console's role runs it, row level security included. */
async function planOf(workspaceId: string, day: string): Promise<string> {
  const query = beforeQuery(workspaceId, counts, day)
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
  return [...new Set(looked.map((line) => /inference_calls_(\d{4}_\d{2})(?= )/.exec(line)?.[1] ?? line))].sort()
}

test('its calls are found by when they were dispatched, late ones of the month before included', async () => {
  const { id } = await makeWorkspace()
  await generateCalls(db.owner, { workspaceId: id, calls: 300_000, days: 180, until: '2026-11-21' })
  expect(monthsIn(await planOf(id, '2026-11-01'))).toEqual(['2026_11'])
  await db.owner.query(`INSERT INTO metering.closed_months (workspace_id, month) VALUES ($1, '2026-10-01')`, [id])
  await recordAll([await makeCall(id, new Date('2026-10-31T23:59:00Z'))])
  expect(monthsIn(await planOf(id, '2026-11-01'))).toEqual(['2026_10', '2026_11'])
})
