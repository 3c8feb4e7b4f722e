/** Everything but a fresh event signed by Stripe is refused and leaves nothing behind (security §4c, 166-175). */
import { describe, expect, it } from 'vitest'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { signature } from '#test/sandbox/stripe/webhooks.ts'
import { rawRequest, useWeb } from '#test/web.ts'
import { databaseHash } from './database-hash.ts'
import { INSIDE } from './inside.ts'

const SECRET = 'whsec_hostile_inputs_1'

describe('the webhook', () => {
  const db = useDatabase()
  const web = useWeb(db, () => ({ STRIPE_WEBHOOK_SECRET: SECRET }))

  const now = () => Math.floor(Date.now() / 1000)
  const event = (change: object = {}) =>
    JSON.stringify({
      id: `evt_${newId().replaceAll('-', '')}`,
      object: 'event',
      api_version: '2026-01-01',
      created: now(),
      livemode: false,
      type: 'customer.subscription.updated',
      data: { object: { id: 'sub_1', object: 'subscription', customer: 'cus_1' } },
      ...change,
    })
  const send = (body: string, header: string | undefined) =>
    rawRequest(web.origin, {
      method: 'POST',
      path: '/webhooks/stripe',
      headers: { 'content-type': 'application/json', ...(header && { 'stripe-signature': header }) },
      body,
    })
  const signed = (body: string, at = now(), secret = SECRET) => send(body, signature(body, { secret }, at))
  const events = async () => (await db.owner.query('SELECT count(*)::int AS n FROM stripe_events')).rows[0].n

  it.each([
    ['case 166, unsigned', () => send(event(), undefined)],
    ['case 167, signed with another secret', () => signed(event(), now(), 'whsec_other')],
    [
      'case 168, re-serialised',
      () => {
        const body = event()
        return send(JSON.stringify(JSON.parse(body), null, 2), signature(body, { secret: SECRET }, now()))
      },
    ],
    ['case 169, 301 seconds old', () => signed(event(), now() - 302)],
    ['case 170, 301 seconds early', () => signed(event(), now() + 302)],
    ['signed, but no JSON', () => signed('{"id":')],
    ['a header of nonsense', () => send(event(), 't=1e3,v1=00,v1=zz,,=,t=')],
  ])('%s: refused, nothing stored', async (_what, ask) => {
    const before = await databaseHash(db.owner)
    const answer = await ask()
    expect(answer.status).toBe(400)
    expect(answer.body).not.toMatch(INSIDE)
    expect(await databaseHash(db.owner)).toBe(before)
  })

  // Answered 200 it would be lost: Stripe sends again what was refused, and nothing else.
  it('case 40: what the database cannot take is answered 500, and is stored when it comes again', async () => {
    const body = event()
    const before = await events()
    await db.owner.query('ALTER TABLE stripe_events RENAME TO stripe_events_away')
    const refused = await signed(body).finally(() =>
      db.owner.query('ALTER TABLE stripe_events_away RENAME TO stripe_events'),
    )
    expect(refused.status).toBe(500)
    expect(refused.body).not.toMatch(INSIDE)
    expect(await events()).toBe(before)
    expect((await signed(body)).status).toBe(200)
    expect(await events()).toBe(before + 1)
  })

  it('case 171, more than 1 MiB: 413, nothing stored', async () => {
    const before = await databaseHash(db.owner)
    const body = event({ padding: 'x'.repeat(2_000_000) })
    expect((await signed(body)).status).toBe(413)
    expect(await databaseHash(db.owner)).toBe(before)
  })

  it.each([
    ['case 172, a type that is not ours', { type: 'payout.paid' }],
    ['signed, but of no mode and no type', { livemode: undefined, type: undefined, data: undefined }],
  ])('%s: 200, and nothing stored', async (_what, change) => {
    const before = await databaseHash(db.owner)
    expect((await signed(event(change))).status).toBe(200)
    expect(await databaseHash(db.owner)).toBe(before)
  })

  it('case 173, of the other mode: 200, and nothing stored but how often it came', async () => {
    const before = await databaseHash(db.owner)
    expect((await signed(event({ livemode: true }))).status).toBe(200)
    const { rows } = await db.owner.query(`DELETE FROM alerts WHERE kind = 'stripe_other_mode' RETURNING occurrences`)
    expect(rows).toEqual([{ occurrences: 1 }])
    expect(await databaseHash(db.owner)).toBe(before)
  })

  it('case 175, fifty copies at once are one row and one job', async () => {
    const before = await events()
    const body = event()
    const answers = await Promise.all(Array.from({ length: 50 }, () => signed(body)))
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]))
    expect(await events()).toBe(before + 1)
    const jobs = await db.owner.query("SELECT FROM graphile_worker.jobs WHERE task_identifier = 'sync-stripe-object'")
    expect(jobs.rowCount).toBe(1)
  })

  it('anything but POST: 405', async () => {
    for (const method of ['GET', 'PUT', 'DELETE'])
      expect((await rawRequest(web.origin, { method, path: '/webhooks/stripe' })).status).toBe(405)
  })
})
