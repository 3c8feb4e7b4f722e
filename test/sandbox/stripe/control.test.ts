import { afterEach, beforeEach, expect, test } from 'vitest'
import { sdkClient, seedCustomer, seedPrice } from './sdk-client.ts'
import { type StripeSandbox, startStripeSandbox } from './stripe-sandbox.ts'

let sandbox: StripeSandbox
beforeEach(async () => {
  sandbox = await startStripeSandbox({ contract: 'strict' })
})
afterEach(() => sandbox.close())

async function control(path: string, body?: object): Promise<{ status: number; json: Record<string, unknown> }> {
  const init = body && { method: 'POST', body: JSON.stringify(body) }
  const response = await fetch(`${sandbox.url}/_sandbox/${path}`, init)
  return { status: response.status, json: (await response.json()) as Record<string, unknown> }
}

test('the control API moves the clock, plans faults, overrides a subscription and shows the account', async () => {
  const stripe = sdkClient(sandbox)
  const { price } = await seedPrice(stripe, 'Enterprise', 50_000)
  const { id } = await stripe.subscriptions.create({ customer: await seedCustomer(stripe), items: [{ price }] })

  expect((await control('clock', { set: '2030-01-01T00:00:00Z' })).json.now).toMatch(/^2030-01-01/)
  expect((await control('clock', { advanceSeconds: 86_400 })).json.now).toMatch(/^2030-01-02/)
  expect((await stripe.customers.create({})).created).toBeGreaterThan(Date.UTC(2030, 0, 1) / 1000)

  await control('faults', { operation: 'customers.create', when: 'before', effect: 'rate_limit' })
  await expect(stripe.customers.create({})).rejects.toMatchObject({ code: 'rate_limit' })

  expect((await control(`subscriptions/${id}/override`, { status: 'past_due' })).json).toMatchObject({
    status: 'past_due',
  })
  const state = (await control('state')).json as { subscriptions: { id: string }[]; customers: unknown[] }
  expect(state.subscriptions.map((subscription) => subscription.id)).toEqual([id])
  expect(state.customers).toHaveLength(2)
})

test('a wrong control request is refused and changes nothing', async () => {
  expect((await control('faults', { operation: 'x', when: 'never', effect: 'rate_limit' })).status).toBe(400)
  expect((await control('subscriptions/sub_none/override', { status: 'active' })).status).toBe(404)
  expect((await control('nonsense', {})).status).toBe(400)
})
