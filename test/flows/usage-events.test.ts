/** Usage that is no call: each event once, priced exactly. */
import { describe, expect, test } from 'vitest'
import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { useDatabase } from '#test/database.ts'
import { useGateway } from '#test/gateway.ts'
import { event, onPlan, usageGround } from './usage-ground.ts'

const db = useDatabase()
const gateway = useGateway(db)
const { post, eventsOf } = usageGround(db, gateway)
const _USD = 1_000_000_000_000n

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

  // It was answered unknown_meter, as if it had never been recorded.
  test('sent again after its meter lost its price it is a duplicate; with other content a conflict', async () => {
    const { token, workspaceId } = await onPlan('pro')
    await db.owner.query(
      `INSERT INTO price_books (version, workspace_id, currency, effective_from) VALUES (910, $1, 'usd', now() - interval '1 hour')`,
      [workspaceId],
    )
    await db.owner.query(
      `INSERT INTO meter_prices (price_book_version, meter, name, unit, unit_usd) VALUES (910, 'priced_once', 'Once', 'second', 0.5)`,
    )
    await db.owner.query('UPDATE price_books SET published_at = now() WHERE version = 910')
    forgetCatalogue()
    const once = event('3', { type: 'priced_once' })
    const first = await (await post(token, once)).json()
    expect(first).toMatchObject({ status: 'recorded', amount_usd: '1.5' })
    await db.owner.query(`UPDATE price_books SET effective_until = now() - interval '1 minute' WHERE version = 910`)
    forgetCatalogue()
    const fresh = await post(token, event('3', { type: 'priced_once' }))
    expect([fresh.status, (await fresh.json()).error.message]).toEqual([400, expect.stringContaining("'type'")])
    expect(await (await post(token, once)).json()).toEqual({ ...first, status: 'duplicate' })
    const other = { ...once, data: { quantity: '4' } }
    expect((await post(token, other)).status).toBe(409)
    const batch = await (await post(token, [once, event('1'), other, event('3', { type: 'priced_once' })])).json()
    expect(batch.events.map((each: { status: string }) => each.status)).toEqual([
      ...['duplicate', 'recorded', 'conflict', 'invalid'],
    ])
    expect(batch.events[0]).toEqual({ ...first, status: 'duplicate' })
    expect(await eventsOf(workspaceId)).toHaveLength(2)
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
    ['time', 'invalid_event', () => event(1, { time: new Date(Date.now() + 6 * 60_000).toISOString() })],
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
    const response = await post(token, typeof sent === 'function' ? sent() : sent)
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
