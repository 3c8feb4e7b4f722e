/** Usage that is no call: each event once, priced exactly, paid by credits or on the invoice. */
import { describe, expect, test } from 'vitest'
import { listBudgets } from '#app/domain/budgets/queries.server.ts'
import { createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { expectBooksAgree, grant, purseOf } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, makeCustomer, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)
const USD = 1_000_000_000_000n
let serial = 0

const onPlan = (planId: string): Promise<Customer> => makeCustomer({ key: null, planId })
const post = (token: string, body: unknown, type = 'application/json') =>
  fetch(`${gateway.origin}/v1/usage/events`, {
    method: 'POST',
    headers: { 'content-type': type, authorization: `Bearer ${token}` },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
const event = (quantity: unknown, over: Record<string, unknown> = {}) => ({
  ...{ specversion: '1.0', id: `e-${++serial}`, source: '/sandboxes', type: 'sandbox_seconds', data: { quantity } },
  ...over,
})
const eventsOf = async (workspaceId: string) =>
  (
    await db.owner.query(
      `SELECT event_id, meter, quantity::text, amount_pico::text, credit_pico::text, charge_pico::text, charge_mode, surface,
         billing_month::text, price_book_version FROM metering.usage_events WHERE workspace_id = $1 ORDER BY recorded_at, id`,
      [workspaceId],
    )
  ).rows

describe('one event', () => {
  test('is recorded once by source and id, at its meter’s price, exactly', async () => {
    const { token, workspaceId } = await onPlan('pro')
    const sent = event('0.123456789', { data: { quantity: '0.123456789', surface: 'agent_run', sandbox: 'sb_1' } })
    const first = await post(token, sent, 'application/cloudevents+json')
    expect(first.status).toBe(200)
    const month = new Date().toISOString().slice(0, 7)
    const answer = {
      source: '/sandboxes',
      id: sent.id,
      amount_usd: '0.000006172839',
      credits_usd: '0',
      charge_usd: '0.000006172839',
    }
    expect(await first.json()).toEqual({ ...answer, status: 'recorded', billed_month: month })
    expect(await (await post(token, sent)).json()).toEqual({ ...answer, status: 'duplicate', billed_month: month })
    expect(await eventsOf(workspaceId)).toEqual([
      {
        ...{
          event_id: sent.id,
          meter: 'sandbox_seconds',
          quantity: '0.123456789',
          amount_pico: '6172839',
          credit_pico: '0',
        },
        ...{
          charge_pico: '6172839',
          charge_mode: 'invoice',
          surface: 'agent_run',
          billing_month: `${month}-01`,
          price_book_version: 2,
        },
      },
    ])
  })

  test('sent again under other prices it is answered as it was charged', async () => {
    const { token, workspaceId } = await onPlan('pro')
    const once = event('2')
    const first = await (await post(token, once)).json()
    await db.owner.query(
      `INSERT INTO price_books (version, workspace_id, currency, effective_from) VALUES (901, $1, 'usd', now() - interval '1 hour')`,
      [workspaceId],
    )
    await db.owner.query(
      `INSERT INTO meter_prices (price_book_version, meter, name, unit, unit_usd) VALUES (901, 'sandbox_seconds', 'Sandboxes', 'second', 1)`,
    )
    await db.owner.query('UPDATE price_books SET published_at = now() WHERE version = 901')
    forgetCatalogue()
    expect(await (await post(token, event('2'))).json()).toMatchObject({ amount_usd: '2' })
    expect(await (await post(token, once)).json()).toEqual({ ...first, status: 'duplicate' })
    const [again] = (await (await post(token, [once])).json()).events
    expect(again).toEqual({ ...first, status: 'duplicate' })
  })

  test('a JSON number is read from its text: 2^53 + 1 stays what it is, and 1.50 is "1.5"', async () => {
    const { token, workspaceId } = await onPlan('pro')
    const raw = (id: string, quantity: string) =>
      `{"specversion":"1.0","id":"${id}","source":"s","type":"compute_seconds","data":{"quantity":${quantity}}}`
    expect((await post(token, raw('big', '9007199254740993e-6'))).status).toBe(200)
    expect((await post(token, raw('same', '1.50'))).status).toBe(200)
    expect((await (await post(token, raw('same', '"1.5"'))).json()).status).toBe('duplicate')
    expect((await eventsOf(workspaceId)).map((row) => row.quantity)).toEqual(['9007199254.740993000', '1.500000000'])
  })

  test('case 61: the same id with other content is a 409 and an alert, and the first stays as it was', async () => {
    const { token, workspaceId } = await onPlan('pro')
    const sent = event('10')
    await post(token, sent)
    const before = await eventsOf(workspaceId)
    const response = await post(token, { ...sent, data: { quantity: '11' } })
    expect([response.status, (await response.json()).error.code]).toEqual([409, 'usage_event_conflict'])
    expect(await eventsOf(workspaceId)).toEqual(before)
    const { rows } = await db.owner.query(
      "SELECT workspace_id FROM alerts WHERE kind = 'usage_event_conflict' AND reference LIKE $1",
      [`${workspaceId}:%`],
    )
    expect(rows).toEqual([{ workspace_id: workspaceId }])
    // Another workspace's, or another source's, is another event.
    expect((await post((await onPlan('pro')).token, { ...sent, data: { quantity: '12' } })).status).toBe(200)
    expect((await post(token, { ...sent, source: '/other' })).status).toBe(200)
  })

  test.each<[string, string, unknown]>([
    ['specversion', 'invalid_event', event(1, { specversion: '0.3' })],
    ['source', 'invalid_event', event(1, { source: '' })],
    ['id', 'invalid_event', event(1, { id: 'a b' })],
    ['type', 'invalid_event', event(1, { type: undefined })],
    ['type', 'invalid_event', event(1, { type: 'no_such_meter' })],
    ['type', 'invalid_event', event(1, { type: 'constructor' })],
    ['time', 'invalid_event', event(1, { time: 'yesterday' })],
    ['time', 'invalid_event', event(1, { time: '2026-02-31' })],
    ['time', 'invalid_event', event(1, { time: '2026-02-31T10:00:00Z' })],
    ['time', 'invalid_event', event(1, { time: '2026-10-31T24:00:00Z' })],
    ['time', 'invalid_event', event(1, { time: new Date(Date.now() + 6 * 60_000).toISOString() })],
    ['type', 'invalid_event', event(1, { time: '2019-12-31T23:59:59Z' })],
    ['data', 'invalid_event', event(1, { data: undefined })],
    ['data', 'invalid_event', event(1, { data: [1] })],
    ['data.quantity', 'invalid_event', event(undefined)],
    ['data.quantity', 'invalid_event', event('-1')],
    ['data.quantity', 'invalid_event', event('NaN')],
    ['data.quantity', 'invalid_event', event('0.0000000001')],
    ['data.quantity', 'invalid_event', event('1e15')],
    ['data.quantity', 'invalid_event', event(true)],
    ['data.surface', 'invalid_event', event(1, { data: { quantity: 1, surface: 'nowhere' } })],
    ['data_base64', 'invalid_event', event(1, { data_base64: 'aGk=' })],
    ['datacontenttype', 'invalid_event', event(1, { datacontenttype: 'text/xml' })],
  ])('a bad %s is a 400 that names it, and nothing is stored', async (field, code, sent) => {
    const { token, workspaceId } = await onPlan('pro')
    const response = await post(token, sent)
    const { error } = await response.json()
    expect([response.status, error.code, error.param]).toEqual([400, code, field])
    expect(await eventsOf(workspaceId)).toEqual([])
  })

  test('all that is wrong with it is said at once', async () => {
    const { token } = await onPlan('pro')
    const { error } = await (await post(token, { specversion: '1', data: {} })).json()
    for (const field of ['specversion', 'source', 'id', 'type', 'data.quantity'])
      expect(error.message).toContain(`'${field}'`)
  })

  test('a time of 5 minutes ahead, or of a zone of its own, is taken; a closed month’s is billed in the next open one', async () => {
    const { token, workspaceId } = await onPlan('pro')
    const ahead = new Date(Date.now() + 4 * 60_000).toISOString()
    expect((await post(token, event(1, { time: ahead }))).status).toBe(200)
    const { rows } = await db.owner.query(
      `INSERT INTO metering.closed_months SELECT * FROM json_populate_record(NULL::metering.closed_months, json_build_object(
         'workspace_id', $1::uuid, 'month', date_trunc('month', now() AT TIME ZONE 'UTC')::date, 'closed_at', now())) RETURNING (month + interval '1 month')::date::text AS next`,
      [workspaceId],
    )
    const answer = await (await post(token, event(1, { time: '2025-03-31T23:30:00-02:00' }))).json()
    expect(`${answer.billed_month}-01`).toBe(rows[0].next)
  })

  test.each<[number, string, string, string]>([
    [400, 'invalid_json', '{', 'application/json'],
    [400, 'invalid_json', '{"id":"a","id":"b"}', 'application/json'],
    [400, 'invalid_event', '"text"', 'application/json'],
    [415, 'unsupported_media_type', '{}', 'text/plain'],
    [413, 'body_too_large', JSON.stringify({ pad: 'x'.repeat(1_100_000) }), 'application/json'],
  ])('%i %s', async (status, code, body, type) => {
    const { token } = await onPlan('pro')
    const response = await post(token, body, type)
    expect([response.status, (await response.json()).error.code]).toEqual([status, code])
  })

  test('needs a live token', async () => {
    expect((await post('km_test_nobody', event(1))).status).toBe(401)
  })
})

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
    const soon = await grant(db, workspaceId, 70_000_000n, { expiresAt: new Date(Date.now() + 60_000) })
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
