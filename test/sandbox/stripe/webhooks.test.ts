import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Stripe from 'stripe'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sdkClient, seedCustomer } from './sdk-client.ts'
import { type StripeSandbox, startStripeSandbox } from './stripe-sandbox.ts'

const SECRET = 'whsec_first'
let receiver: Server
let received: { body: string; signature: string }[]
let answerWith: () => number
let sandbox: StripeSandbox
let stripe: Stripe

beforeEach(async () => {
  received = []
  answerWith = () => 200
  receiver = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      received.push({ body, signature: String(request.headers['stripe-signature']) })
      response.writeHead(answerWith()).end()
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/webhook`
  sandbox = await startStripeSandbox({ contract: 'strict', webhook: { url, secret: SECRET } })
  stripe = sdkClient(sandbox)
})
afterEach(async () => {
  await sandbox.close()
  await new Promise((resolve) => receiver.close(resolve))
})

const idsReceived = () => received.map(({ body }) => (JSON.parse(body) as Stripe.Event).id)

describe('the webhook pump', () => {
  test('sends full event envelopes that the SDK verifies and the event list repeats', async () => {
    await stripe.customers.create({ name: 'Acme' }, { idempotencyKey: 'k1' })
    await sandbox.webhooks.settled()
    const [delivery] = received
    const event = Stripe.webhooks.constructEvent(delivery?.body ?? '', delivery?.signature ?? '', SECRET)
    expect(event).toMatchObject({ type: 'customer.created', livemode: false, api_version: '2026-10-28.endive' })
    expect(event.request).toMatchObject({ idempotency_key: 'k1' })
    expect((await stripe.events.retrieve(event.id)).id).toBe(event.id)
    expect(() =>
      Stripe.webhooks.constructEvent(delivery?.body ?? '', delivery?.signature ?? '', 'whsec_other'),
    ).toThrow()
  })

  test('signs with both secrets while one is being rolled', async () => {
    const { endpoint } = sandbox.webhooks
    if (endpoint) endpoint.secondSecret = 'whsec_second'
    await stripe.customers.create({ name: 'Acme' })
    await sandbox.webhooks.settled()
    const { body = '', signature = '' } = received[0] ?? {}
    for (const secret of [SECRET, 'whsec_second']) {
      expect(Stripe.webhooks.constructEvent(body, signature, secret).object).toBe('event')
    }
  })

  test('duplicates, drops and reorders as asked, the same way for the same seed', async () => {
    sandbox.webhooks.knobs = { copies: 2, drop: (event) => event.type === 'customer.updated' }
    const id = await seedCustomer(stripe, 'none')
    await stripe.customers.update(id, { name: 'Other' })
    await sandbox.webhooks.settled()
    expect(new Set(idsReceived()).size).toBe(1)
    expect(received).toHaveLength(2)
    expect((await stripe.events.list({ delivery_success: false })).data.map((event) => event.type)).toEqual([
      'customer.updated',
    ])

    received = []
    sandbox.webhooks.knobs = { reorderSeed: 7 }
    sandbox.webhooks.pause()
    for (let i = 0; i < 6; i++) await stripe.customers.create({ name: `n${i}` })
    const inOrder = Object.values(sandbox.world.state.events)
      .slice(-6)
      .map((event) => event.id)
    sandbox.webhooks.resume()
    await sandbox.webhooks.settled()
    expect(idsReceived()).not.toEqual(inOrder)
    expect(idsReceived().toSorted()).toEqual(inOrder.toSorted())
  })

  test('retries what was not taken with 2xx', async () => {
    let refusals = 2
    answerWith = () => (refusals-- > 0 ? 500 : 200)
    await stripe.customers.create({ name: 'Acme' })
    await sandbox.webhooks.settled()
    expect(sandbox.webhooks.deliveries.map((delivery) => delivery.status)).toEqual([500, 500, 200])
    expect((await stripe.events.list({ delivery_success: false })).data).toEqual([])
  })

  test('comes back to what nobody took for a while', async () => {
    sandbox.webhooks.knobs = { retries: 0, restMs: 20 }
    let refusals = 3
    answerWith = () => (refusals-- > 0 ? 503 : 200)
    await stripe.customers.create({ name: 'Acme' })
    await expect
      .poll(() => sandbox.webhooks.deliveries.map((delivery) => delivery.status))
      .toEqual([503, 503, 503, 200])
  })

  test('an event can be sent with an envelope of another version, mode or time', async () => {
    sandbox.control.sendEvent(
      'customer.subscription.updated',
      { id: 'sub_1', object: 'subscription' },
      { apiVersion: '2020-08-27', livemode: true },
    )
    await sandbox.webhooks.settled()
    expect(JSON.parse(received[0]?.body ?? '')).toMatchObject({ api_version: '2020-08-27', livemode: true })
  })
})
