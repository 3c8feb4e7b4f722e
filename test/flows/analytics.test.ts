import { describe, expect, it } from 'vitest'
import { type CallFilter, parseCallFilter, parsePageRequest } from '#app/domain/analytics/analytics.ts'
import { exportCalls } from '#app/domain/analytics/export-calls.server.ts'
import { getCall, listCalls, readUsage } from '#app/domain/analytics/queries.server.ts'
import type { CallRecord } from '#app/domain/ledger/ledger.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

const now = () => new Date('2026-11-21T12:00:00Z')
const at = (text: string) => new Date(`2026-${text}Z`)
const filter = (query = ''): CallFilter => parseCallFilter(new URLSearchParams(query), now())
const page = (query = '') => parsePageRequest(new URLSearchParams(query))

async function idsByPaging(ctx: Ctx, chosen: CallFilter, limit: number): Promise<string[][]> {
  const pages: string[][] = []
  for (let after: string | null = null; ; ) {
    const { calls, next } = await listCalls(ctx, chosen, { after, limit })
    pages.push(calls.map((call) => call.id))
    if (next === null) return pages
    after = next
  }
}

/** Seven calls over five days, as their recorder knows them. */
async function someCalls(workspaceId: string): Promise<CallRecord[]> {
  return [
    await makeCall(workspaceId, at('11-01T00:00:00.000')),
    await makeCall(workspaceId, at('11-01T23:59:59.999'), { keySource: 'workspace', rawCostPico: 1_000_000_000n }),
    await makeCall(workspaceId, at('11-10T09:00:00.000'), { keySource: 'workspace', rawCostPico: 99_000_000_000n }),
    await makeCall(workspaceId, at('11-10T09:00:00.000'), {
      surface: 'document_ocr',
      tier: 'frontier',
      model: 'openai/gpt-5.2',
    }),
    await makeCall(workspaceId, at('11-15T09:00:00.000'), {
      keySource: 'workspace',
      rawCostPico: null,
      costSource: 'unknown',
    }),
    await makeCall(workspaceId, at('11-20T09:00:00.000'), {
      status: 'upstream_error',
      inputTokens: null,
      outputTokens: null,
    }),
    await makeCall(workspaceId, at('11-21T11:59:59.000'), { cacheReadTokens: 400n, reasoningTokens: 30n }),
  ]
}

describe('LLM analytics', () => {
  const db = useDatabase()

  it('sums what was recorded, exactly, for a member; held calls are counted and not guessed', async () => {
    const member = await makeMember((await makeWorkspace()).id, 'member')
    const calls = await someCalls(member.workspaceId)
    await recordAll(calls)
    const usage = await readUsage(member, filter())
    const charges = calls.reduce((sum, call) => sum + (call.chargePico ?? 0n), 0n)
    expect(usage.total).toMatchObject({
      calls: 7n,
      failedCalls: 1n,
      heldCalls: 1n,
      chargePico: charges,
      cacheReadTokens: 400n,
    })
    expect(usage.workspace).toMatchObject({ calls: 3n, rawCostPico: 100_000_000_000n, chargePico: 4_250_000_000n })
    expect(usage.byDay).toHaveLength(30)
    expect(usage.byDay.find((day) => day.day === '2026-11-01')).toMatchObject({
      platform: { calls: 1n },
      workspace: { calls: 1n },
    })
    for (const part of [usage.byModel, usage.bySurface, usage.byTier])
      expect(part.reduce((sum, row) => sum + row.sums.chargePico, 0n)).toBe(charges)
  })

  it('keeps rollups equal to a recount of the raw calls', async () => {
    const member = await makeMember((await makeWorkspace()).id, 'member')
    await recordAll(await someCalls(member.workspaceId))
    await recordAll(await someCalls(member.workspaceId))
    const { rows } = await db.owner.query(
      '(TABLE metering.call_daily_rollups EXCEPT TABLE metering.call_daily_recount) UNION ALL (TABLE metering.call_daily_recount EXCEPT TABLE metering.call_daily_rollups)',
    )
    expect(rows).toEqual([])
  })

  it('counts the first and the last millisecond of its days, and no more', async () => {
    const member = await makeMember((await makeWorkspace()).id, 'member')
    await recordAll(await someCalls(member.workspaceId))
    const first = filter('from=2026-11-01&to=2026-11-01')
    expect((await readUsage(member, first)).total.calls).toBe(2n)
    expect((await listCalls(member, first, page())).calls).toHaveLength(2)
    expect((await listCalls(member, filter('from=2026-11-02&to=2026-11-09'), page())).calls).toEqual([])
  })

  it.each([
    ['model=openai/gpt-5.2', 1],
    ['surface=document_ocr', 1],
    ['tier=balanced', 6],
    ['key=workspace', 3],
    ['mode=tier', 4],
    ['outcome=failed', 1],
    ['outcome=held', 1],
    ['billed=2026-11&prices=1', 7],
    ['billed=2026-10', 0],
    ['key=workspace&surface=document_ocr', 0],
  ])('filters the list by %s', async (query, expected) => {
    const member = await makeMember((await makeWorkspace()).id, 'member')
    await recordAll(await someCalls(member.workspaceId))
    expect((await listCalls(member, filter(query), page())).calls).toHaveLength(expected)
    if (!query.includes('outcome')) expect((await readUsage(member, filter(query))).total.calls).toBe(BigInt(expected))
  })

  it('pages over every call exactly once, in order, also many in one millisecond', async () => {
    const member = await makeMember((await makeWorkspace()).id, 'member')
    const calls: CallRecord[] = []
    for (let n = 0; n < 57; n++)
      calls.push(await makeCall(member.workspaceId, at(`11-${10 + (n % 3) * 4}T09:00:00.000`)))
    await recordAll(calls)
    for (const limit of [1, 7, 57, 200]) {
      const pages = await idsByPaging(member, filter(), limit)
      expect(pages.flat()).toEqual(
        calls
          .map((call) => call.id)
          .sort()
          .reverse(),
      )
      expect(Math.max(...pages.map((ids) => ids.length))).toBeLessThanOrEqual(limit)
    }
  })

  it('takes a forged cursor as a place in the own list, and never as a door to another', async () => {
    const [home, other] = [await makeWorkspace(), await makeWorkspace()]
    const member = await makeMember(home.id, 'member')
    const foreign = await makeCall(other.id, at('11-20T10:00:00.000'))
    const own = await someCalls(home.id)
    await recordAll([...own, foreign])
    const { calls } = await listCalls(member, filter(), page(`after=${foreign.id}`))
    expect(calls.map((call) => call.id)).toEqual(
      own
        .slice(0, 6)
        .map((call) => call.id)
        .sort()
        .reverse(),
    )
    await expect(getCall(member, foreign.id)).rejects.toMatchObject({ kind: 'not_found' })
    await expect(getCall(member, newId(at('11-20T10:00:00.000')))).rejects.toMatchObject({ kind: 'not_found' })
    for (const id of ['', 'x', 'ffffffff-ffff-7fff-bfff-ffffffffffff', '123e4567-e89b-42d3-a456-426614174000'])
      await expect(getCall(member, id)).rejects.toMatchObject({ kind: 'not_found' })
  })

  it('finds one call by its id, with the prices of its version', async () => {
    const member = await makeMember((await makeWorkspace()).id, 'member')
    const [, , floored] = await someCalls(member.workspaceId)
    await recordAll(await Promise.all([floored as CallRecord]))
    const call = await getCall(member, (floored as CallRecord).id)
    expect(call).toMatchObject({
      rawCostPico: 99_000_000_000n,
      tierPricePico: 5_250_000_000n,
      chargePico: 0n,
      billingMonth: '2026-11',
    })
    expect(call.dispatchedAt).toEqual(idTime(call.id))
    expect(call.price).toEqual({ inputAtto: 3_500_000_000_000n, outputAtto: 17_500_000_000_000n })
  })

  it.each([
    ['from=1970-01-01&to=9999-12-31', 'from'],
    ['from=2026-02-30', 'from'],
    ['from=2026-1-1', 'from'],
    ['from=2025-01-01&to=2026-11-01', 'from'],
    ['from=2026-11-02&to=2026-11-01', 'to'],
    ['from=2026-11-01&from=2026-11-02', 'from'],
    ['tier=platinum', 'tier'],
    ['key=mine', 'key'],
    ['mode=free', 'mode'],
    ['outcome=ok', 'outcome'],
    ['billed=2026-13', 'billed'],
    ['prices=latest', 'prices'],
    ['model=%00', 'model'],
    [`model=${'m'.repeat(300)}`, 'model'],
  ])('refuses %s and names the field', (query, field) => {
    expect(() => filter(query)).toThrow(expect.objectContaining({ kind: 'bad_request', field }))
  })

  it('refuses names that nothing bears, but not those of history', async () => {
    const member = await makeMember((await makeWorkspace()).id, 'member')
    await recordAll([await makeCall(member.workspaceId, at('11-20T10:00:00.000'), { model: 'retired/model-1' })])
    await expect(readUsage(member, filter('model=no/such'))).rejects.toMatchObject({
      kind: 'bad_request',
      field: 'model',
    })
    await expect(listCalls(member, filter('surface=nowhere'), page())).rejects.toMatchObject({ field: 'surface' })
    expect((await readUsage(member, filter('model=retired/model-1'))).total.calls).toBe(1n)
  })

  it('bounds pages, and spans that are said by half', () => {
    expect(page('limit=1e9').limit).toBe(200)
    for (const bad of [
      'limit=0',
      'limit=-5',
      'limit=2.5',
      'limit=many',
      'after=1',
      'after=123e4567-e89b-42d3-a456-426614174000',
    ])
      expect(() => page(bad)).toThrow(expect.objectContaining({ field: bad.split('=')[0] }))
    expect(filter()).toMatchObject({ from: '2026-10-23', to: '2026-11-21' })
    expect(filter('from=&to=')).toMatchObject({ from: '2026-10-23', to: '2026-11-21' })
    expect(filter('from=2026-11-05')).toMatchObject({ from: '2026-11-05', to: '2026-11-21' })
    expect(filter('from=2020-01-01')).toMatchObject({ from: '2020-01-01', to: '2020-12-31' })
    expect(filter('from=2027-01-01')).toMatchObject({ from: '2027-01-01', to: '2027-01-01' })
    expect(filter('to=2026-10-31')).toMatchObject({ from: '2026-10-02', to: '2026-10-31' })
  })

  it('exports every call as CSV, exact, with formulas made plain', async () => {
    const member = await makeMember((await makeWorkspace()).id, 'member')
    const calls = [
      await makeCall(member.workspaceId, at('11-20T10:00:00.000'), { upstreamId: '=HYPERLINK("http://evil")' }),
      await makeCall(member.workspaceId, at('11-20T09:00:00.000'), { upstreamId: ' \t@SUM(A1)' }),
      await makeCall(member.workspaceId, at('11-20T08:00:00.000'), {
        keySource: 'workspace',
        rawCostPico: null,
        costSource: 'unknown',
      }),
    ]
    await recordAll(calls)
    let csv = ''
    for await (const piece of exportCalls(member, filter())) csv += piece
    const lines = csv.trimEnd().split('\r\n')
    expect(lines).toHaveLength(4)
    expect(lines[1]).toContain(`,0.0045,imported,0.00525,0.00525,no,1,900,200,"'=HYPERLINK(""http://evil"")"`)
    expect(lines[2]).toContain(",' \t@SUM(A1),0,no")
    expect(lines[3]).toContain(',,unknown,0.00525,,yes,')
  })

  it('is closed to people of other workspaces', async () => {
    const [home, other] = [await makeWorkspace(), await makeWorkspace()]
    const stranger = { ...(await makeMember(other.id, 'owner')), workspaceId: home.id }
    for (const attempt of [
      readUsage(stranger, filter()),
      listCalls(stranger, filter(), page()),
      getCall(stranger, newId()),
    ])
      await expect(attempt).rejects.toMatchObject({ kind: 'forbidden' })
  })
})
