/** What the receipt of a call tells of the way it went: provider, model there, prices used, and what stood in for what. */
import { beforeAll, describe, expect, it } from 'vitest'
import { getCall } from '#app/domain/analytics/queries.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { type ReceiptView, toReceiptView } from '#app/ui/call/receipt-view.ts'
import { exactMoney } from '#app/ui/money.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

describe('a receipt', () => {
  const db = useDatabase()
  let member: Ctx
  const now = new Date()

  beforeAll(async () => {
    member = await makeMember((await makeWorkspace()).id, 'member')
  })

  async function receiptOf(id: string): Promise<ReceiptView & { facts: Record<string, string> }> {
    const view = toReceiptView('/w/x', await getCall(member, id), await loadCatalogue())
    return { ...view, facts: Object.fromEntries([...view.call, ...view.money]) }
  }

  it('names the provider, the endpoint, the model there and the prices that made the cost', async () => {
    const call = await makeCall(member.workspaceId, now, {
      provider: 'anthropic',
      endpoint: 'responses',
      upstreamModel: 'claude-sonnet-4-6',
      keySource: 'workspace',
      costSource: 'list_price',
      priceRow: {
        source: 'provider_catalogue',
        asOf: '2026-11-20T10:00:00.000Z',
        model: 'claude-sonnet-4-6',
        usd: { input: '0.000003', output: '0.000015', cacheRead: '0.0000003' },
      },
    })
    await recordAll([call])
    const { facts, link } = await receiptOf(call.id)
    expect(facts).toMatchObject({
      Provider: 'Anthropic',
      Endpoint: 'responses',
      'Model at the provider': 'claude-sonnet-4-6',
      'Prices used': '$3.00 input, $15.00 output, $0.30 cache read, per million tokens',
      'Prices from': "the provider's published list, as of 20 Nov 2026, 10:00 UTC, for claude-sonnet-4-6",
    })
    expect(link).toBeNull()
  })

  it('says nothing of prices or another model where the provider reported the cost itself', async () => {
    const call = await makeCall(member.workspaceId, now)
    await recordAll([call])
    const { facts } = await receiptOf(call.id)
    expect(Object.keys(facts)).not.toContain('Prices used')
    expect(Object.keys(facts)).not.toContain('Model at the provider')
  })

  it('links a refused call and the one that stood in for it, both ways', async () => {
    const refused = await makeCall(member.workspaceId, now, { status: 'rejected_upstream', keySource: 'workspace' })
    const standIn = await makeCall(member.workspaceId, new Date(now.getTime() + 1_500), { fallbackOf: refused.id })
    await recordAll([refused, standIn])
    expect((await receiptOf(standIn.id)).link).toMatchObject({
      to: `/w/x/calls/${refused.id}`,
      text: expect.stringContaining(`stands in for call ${refused.id}`),
    })
    expect((await receiptOf(refused.id)).link?.to).toBe(`/w/x/calls/${standIn.id}`)
  })

  it('of a call that was corrected says so: what was charged, what is owed now, and which invoice has the difference', async () => {
    const call = await makeCall(member.workspaceId, now, { keySource: 'workspace', rawCostPico: 1_000_000_000n })
    await recordAll([call])
    expect((await receiptOf(call.id)).corrections).toEqual([])
    const charged = call.chargePico ?? 0n
    const adjust = (reference: string, cost: bigint) =>
      db.owner.query(
        `SELECT metering.adjust_calls($1, 'cost_corrected', $2, ARRAY[$3::uuid], ARRAY[$4::timestamptz], ARRAY[1], ARRAY[$5::bigint],
           ARRAY[$6::bigint], ARRAY[NULL::bigint], ARRAY[$7::bigint])`,
        [
          member.workspaceId,
          reference,
          call.id,
          call.dispatchedAt,
          cost,
          call.tierPricePico,
          charged + 1_000_000_000n - cost,
        ],
      )
    await adjust('first', 1_500_000_000n)
    await adjust('second', 900_000_000n)
    const { corrections, sum } = await receiptOf(call.id)
    expect(corrections).toMatchObject([
      { why: 'Cost corrected to $0.0015', before: exactMoney(charged), difference: '−$0.0005' },
      { why: 'Cost corrected to $0.0009', after: exactMoney(charged + 100_000_000n), difference: '+$0.0006' },
    ])
    expect(corrections[0]?.on).toMatch(/^[A-Z][a-z]+ \d{4} invoice$/)
    expect(sum.at(-1)).toMatchObject({ amount: exactMoney(charged) })
  })

  it('of a call whose cost is passed through shows no tier price and no margin', async () => {
    const call = await makeCall(member.workspaceId, now, {
      keySource: 'workspace',
      chargeMode: 'pass_through',
      tier: 'none',
      provider: 'groq',
    })
    await recordAll([call])
    const { sum, verdict } = await receiptOf(call.id)
    expect(sum.map((line) => [line.label, line.amount])).toEqual([
      ['Your provider charged you', '$0.0045'],
      ['Charged', '$0.00'],
    ])
    expect(verdict).toBe(
      'This call ran on your key and is billed externally. Groq bills you for it, and we bill nothing.',
    )
  })
})
