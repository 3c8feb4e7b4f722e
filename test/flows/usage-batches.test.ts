/** Events by the batch, and who pays for them: credits, or the invoice. */
import { describe, expect, test } from 'vitest'
import { listBudgets } from '#app/domain/budgets/queries.server.ts'
import { createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { expectBooksAgree, grant, purseOf } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { useGateway } from '#test/gateway.ts'
import { event, onPlan, usageGround } from './usage-ground.ts'

const db = useDatabase()
const gateway = useGateway(db)
const { post, eventsOf } = usageGround(db, gateway)
const USD = 1_000_000_000_000n

describe('a batch', () => {
  const type = 'application/cloudevents-batch+json'

  test('is answered event by event; the good ones are recorded, also beside bad ones, repetitions and conflicts', async () => {
    const { token, workspaceId } = await onPlan('pro')
    const [a, b] = [event('1'), event('2')]
    const sent = [a, { ...a }, { ...a, data: { quantity: '3' } }, event('-1'), b, 7]
    const answer = await (await post(token, sent, type)).json()
    expect(answer).toMatchObject({ recorded: 2, duplicates: 1, conflicts: 1, invalid: 2 })
    expect(answer.events.map((each: { status: string }) => each.status)).toEqual([
      'recorded',
      'duplicate',
      'conflict',
      'invalid',
      'recorded',
      'invalid',
    ])
    expect(answer.events[3].errors).toMatchObject([{ field: 'data.quantity', code: 'invalid' }])
    expect((await eventsOf(workspaceId)).map((row) => row.quantity)).toEqual(['1.000000000', '2.000000000'])
    const again = await (await post(token, sent, type)).json()
    expect(again).toMatchObject({ recorded: 0, duplicates: 3, conflicts: 1, invalid: 2 })
  })

  test('of 1,000 sent four times at once is recorded once, with exact sums in credits, budgets and rows', async () => {
    const { owner, token, workspaceId } = await onPlan('harness-solo')
    await grant(db, workspaceId, USD / 100n)
    await grant(db, workspaceId, USD, { expiresAt: new Date(Date.now() + 86_400_000) })
    await createBudget(owner, {
      name: 'All',
      scope: 'workspace',
      scopeId: '',
      period: 'month',
      limit: '5',
      hard: false,
      countsOwnKey: false,
    })
    const sent = Array.from({ length: 1_000 }, (_, at) => event(String(at % 7)))
    const answers = await Promise.all([1, 2, 3, 4].map(async () => (await post(token, sent, type)).json()))
    expect(answers.reduce((sum, { recorded }) => sum + recorded, 0)).toBe(1_000)
    expect(answers.reduce((sum, { duplicates }) => sum + duplicates, 0)).toBe(3_000)
    const total = sent.reduce((sum, each) => sum + BigInt(each.data.quantity as string), 0n) * 50_000_000n
    const purse = await purseOf(db, workspaceId)
    expect(purse).toMatchObject({ spent: total, available: USD + USD / 100n - total, shortfall: 0n })
    expect((await listBudgets(owner))[0]?.spentPico).toBe(total)
    const rows = await eventsOf(workspaceId)
    expect(rows).toHaveLength(1_000)
    expect(rows.reduce((sum, row) => sum + BigInt(row.credit_pico), 0n)).toBe(total)
    await expectBooksAgree(db, workspaceId)
  })

  test('takes 1,000 events and no more; an empty one is nothing', async () => {
    const { token, workspaceId } = await onPlan('pro')
    expect(
      (
        await post(
          token,
          Array.from({ length: 1_001 }, () => event(1)),
          type,
        )
      ).status,
    ).toBe(400)
    expect(await eventsOf(workspaceId)).toEqual([])
    expect(await (await post(token, [], type)).json()).toEqual({
      recorded: 0,
      duplicates: 0,
      conflicts: 0,
      invalid: 0,
      events: [],
    })
  })
})

describe('who pays', () => {
  test('on a plan with credits: what there is, soonest to expire first, in the order of the batch; the rest is a shortfall', async () => {
    const { token, workspaceId } = await onPlan('harness-solo')
    const never = await grant(db, workspaceId, 120_000_000n)
    const soon = await grant(db, workspaceId, 70_000_000n, { expiresAt: new Date(Date.now() + 3_600_000) })
    const answer = await (await post(token, [event('1'), event('2'), event('3')])).json()
    expect(answer.events.map((each: Record<string, string>) => [each.credits_usd, each.charge_usd])).toEqual([
      ['0.00005', '0'],
      ['0.0001', '0'],
      ['0.00004', '0'],
    ])
    const { rows } = await db.owner.query(
      "SELECT grant_id, sum(amount_pico)::text AS drawn FROM metering.credit_transfers WHERE workspace_id = $1 AND kind = 'draw' GROUP BY 1",
      [workspaceId],
    )
    expect(Object.fromEntries(rows.map((row) => [row.grant_id, row.drawn]))).toEqual({
      [soon]: '70000000',
      [never]: '120000000',
    })
    expect(await purseOf(db, workspaceId)).toMatchObject({
      available: 0n,
      spent: 190_000_000n,
      shortfall: 110_000_000n,
    })
    await expectBooksAgree(db, workspaceId)
  })

  test('on a plan that bills its overage: the rest goes onto the invoice', async () => {
    await db.owner.query("UPDATE plans SET credit_overage = 'bill' WHERE id = 'harness-team'")
    const { token, workspaceId } = await onPlan('harness-team')
    await grant(db, workspaceId, 70_000_000n)
    await post(token, [event('1'), event('2')])
    const rows = await eventsOf(workspaceId)
    expect(rows.map((row) => [row.credit_pico, row.charge_pico])).toEqual([
      ['50000000', '0'],
      ['20000000', '80000000'],
    ])
    expect(await purseOf(db, workspaceId)).toMatchObject({ available: 0n, shortfall: 0n })
  })

  test('in euros on a plan with credits: nobody, since credits are dollars, and nothing is recorded', async () => {
    const { token, workspaceId } = await onPlan('harness-solo')
    await grant(db, workspaceId, 10n * USD)
    await db.owner.query("UPDATE workspaces SET currency = 'eur' WHERE id = $1", [workspaceId])
    await db.owner.query(
      `INSERT INTO price_books (version, currency, effective_from) VALUES (902, 'eur', now() - interval '1 day')`,
    )
    await db.owner.query(
      `INSERT INTO meter_prices (price_book_version, meter, name, unit, unit_usd) VALUES (902, 'sandbox_seconds', 'Sandboxes', 'second', 1)`,
    )
    await db.owner.query('UPDATE price_books SET published_at = now() WHERE version = 902')
    forgetCatalogue()
    const refused = await post(token, event('1'))
    expect([refused.status, (await refused.json()).error.code]).toEqual([503, 'plan_needs_dollars'])
    expect(await eventsOf(workspaceId)).toEqual([])
    expect(await purseOf(db, workspaceId)).toMatchObject({ available: 10n * USD })
  })

  test('while calls and events race for the last credits nobody gets more than there is', async () => {
    const { token, workspaceId } = await onPlan('harness-solo')
    await grant(db, workspaceId, 50_000_000n * 20n)
    const calls = Array.from({ length: 16 }, () =>
      fetch(`${gateway.origin}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({
          model: 'openai/gpt-5-mini',
          max_tokens: 10,
          messages: [{ role: 'user', content: 'hi' }],
        }),
      }).then((response) => response.text()),
    )
    const events = Array.from({ length: 16 }, () =>
      post(token, [event('1'), event('1')]).then((response) => response.text()),
    )
    await Promise.all([...calls, ...events])
    const { available, held, spent } = await purseOf(db, workspaceId)
    expect([held, available + spent]).toEqual([0n, 50_000_000n * 20n])
    await expectBooksAgree(db, workspaceId)
  })
})
