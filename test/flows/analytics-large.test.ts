import { describe, expect, it } from 'vitest'
import { type CallFilter, parseCallFilter, parsePageRequest } from '#app/domain/analytics/analytics.ts'
import { callsQuery, daysQuery } from '#app/domain/analytics/internal/find-calls.server.ts'
import { usageQuery } from '#app/domain/analytics/internal/usage-sums.server.ts'
import { listCalls, readUsage } from '#app/domain/analytics/queries.server.ts'
import { importCalls } from '#app/domain/ledger/record-calls.server.ts'
import type { Prisma } from '#app/generated/prisma/client.ts'
import { appPool } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { generateCalls, makeCall } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

const now = () => new Date('2026-11-21T12:00:00Z')
const at = (text: string) => new Date(`2026-${text}Z`)
const filter = (query = ''): CallFilter => parseCallFilter(new URLSearchParams(query), now())
const page = (query = '') => parsePageRequest(new URLSearchParams(query))

describe('LLM analytics on a large workspace', () => {
  const db = useDatabase()
  const rare = 'mistralai/mistral-large-3'

  /** The plan of a query as the console's role runs it, row level security included. */
  async function plan(workspaceId: string, query: Prisma.Sql): Promise<string> {
    const client = await appPool().connect()
    try {
      await client.query('BEGIN')
      await client.query(`SELECT set_config('app.workspace_id', $1, true)`, [workspaceId])
      const { rows } = await client.query(
        `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ${query.text}`,
        query.values as unknown[],
      )
      return rows.map((row) => row['QUERY PLAN']).join('\n')
    } finally {
      await client.query('ROLLBACK')
      client.release()
    }
  }

  it('answers totals from the rollups, and lists from the primary key of the days that hold matches', async () => {
    const workspace = await makeWorkspace()
    const member = await makeMember(workspace.id, 'member')
    await generateCalls(db.owner, { workspaceId: workspace.id, calls: 200_000, days: 30, until: '2026-11-21' })
    const needles = await Promise.all(
      ['11-03', '11-12'].map((day) => makeCall(workspace.id, at(`${day}T13:00:00.000`), { model: rare })),
    )
    await importCalls(needles)

    expect((await readUsage(member, filter())).total.calls).toBe(193_335n)
    const all = filter('from=2026-10-22')
    expect((await readUsage(member, all)).total.calls).toBe(200_002n)
    expect(await plan(workspace.id, usageQuery(workspace.id, all))).not.toContain('inference_calls')

    const { calls, next } = await listCalls(member, all, page())
    expect(calls).toHaveLength(50)
    expect((await listCalls(member, all, page(`after=${next}`))).calls).toHaveLength(50)
    const found = await listCalls(member, filter(`model=${rare}`), page())
    expect(found.calls.map((call) => call.id)).toEqual(needles.map((call) => call.id).reverse())

    const day = (text: string) => ({
      from: at(`${text}T00:00:00`).getTime(),
      to: at(`${text}T00:00:00`).getTime() + 86_400_000,
    })
    const plans = [
      await plan(workspace.id, daysQuery(workspace.id, all)),
      await plan(workspace.id, callsQuery(workspace.id, all, day('11-20'), page())),
      await plan(
        workspace.id,
        callsQuery(workspace.id, all, day('11-05'), page(`after=${newId(at('11-05T20:00:00'))}`)),
      ),
      await plan(workspace.id, callsQuery(workspace.id, filter(`model=${rare}`), day('11-12'), page())),
    ]
    for (const text of plans) expect(text).not.toMatch(/Seq Scan on inference_calls/)
    const removed = [...(plans[3] as string).matchAll(/Rows Removed by Filter: (\d+)/g)].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    )
    expect(removed).toBeLessThan(7_000)
  })
})
