import { afterEach, describe, expect, test } from 'vitest'
import { slowDown, takeTurn } from '#app/domain/billing/internal/request-pace.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { start } from '#test/web.ts'
import {
  billingWorld,
  type Customer,
  freezeOctober,
  makeCustomer,
  recordUsage,
  stripeInvoices,
} from './billing-world.ts'

const world = billingWorld()
const PER_SECOND = 10
const WORKSPACES = Number(process.env.PACE_WORKSPACES ?? 300)
/** Jobs that run at the same time: three processes of four each. */
const AT_ONCE = 12

afterEach(() => void (world.sandbox.world.state.settings.requestsPerSecond = null))

/** The most requests of one operation in any second. */
function busiestSecond(times: number[]): number {
  let most = 0
  for (const [index, from] of times.entries())
    most = Math.max(most, times.slice(index).filter((at) => at - from < 1_000).length)
  return most
}

/** Takes so many turns at once. Each waits a tenth of a second longer than the last, less what went by until it was taken. */
async function expectTenthsApart(turns: number): Promise<void> {
  const began = performance.now()
  const waits = await Promise.all(Array.from({ length: turns }, () => takeTurn('test.spacing')))
  const took = performance.now() - began
  for (const [index, wait] of waits.toSorted((a, b) => a - b).entries()) {
    expect(wait).toBeLessThan(index * 100 + 5)
    expect(wait).toBeGreaterThan(index * 100 - took - 5)
  }
}

describe('one queue for all processes', () => {
  test('turns are a tenth of a second apart, whoever takes them, and idleness saves nothing up', async () => {
    world.db.configure({ STRIPE_REQUESTS_PER_SECOND: String(PER_SECOND) })
    await expectTenthsApart(12)
    await world.db.owner.query(`UPDATE stripe_paces SET next_at = now() - interval '1 hour', taken_at = now()`)
    await expectTenthsApart(3)
  })

  test('a 429 halves the pace once a second however many say it, and it comes back by half a request a second', async () => {
    const rate = async () => {
      const { rows } = await world.db.owner.query(`SELECT per_second FROM stripe_paces WHERE operation = 'test.slow'`)
      return rows[0]?.per_second as number
    }
    await takeTurn('test.slow')
    let began = performance.now()
    const seconds = () => (performance.now() - began) / 1_000
    await Promise.all(Array.from({ length: 5 }, () => slowDown('test.slow')))
    const slowed = await rate()
    expect(slowed).toBeLessThanOrEqual(PER_SECOND / 2)
    expect(slowed).toBeGreaterThanOrEqual(PER_SECOND / 2 ** (1 + Math.floor(seconds())))
    const past = `next_at = clock_timestamp(), taken_at = clock_timestamp() - interval '4 seconds'`
    began = performance.now()
    await world.db.owner.query(`UPDATE stripe_paces SET ${past} WHERE operation = 'test.slow'`)
    await takeTurn('test.slow')
    expect(await rate()).toBeGreaterThanOrEqual(slowed + 2)
    expect(await rate()).toBeLessThan(slowed + 2.01 + seconds() / 2)
    await world.db.owner.query(`UPDATE stripe_paces SET taken_at = clock_timestamp() - interval '1 hour'`)
    await takeTurn('test.slow')
    expect(await rate()).toBe(PER_SECOND)
  })
})

test(`${WORKSPACES} workspaces and three worker processes under Stripe’s limits: no 429, no burst, first come first served`, async () => {
  world.db.configure({ STRIPE_REQUESTS_PER_SECOND: '1000' })
  const customers: Customer[] = []
  for (let n = 0; n < WORKSPACES; n++) {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, [{ tierPrice: '5', keySource: 'platform' }])
    customers.push(customer)
  }
  for (const customer of customers) await freezeOctober(customer)
  world.sandbox.world.state.settings.requestsPerSecond = 25
  const from = world.sandbox.journal.length
  const began = performance.now()
  const env = world.db.childEnv({ STRIPE_REQUESTS_PER_SECOND: String(PER_SECOND) })
  const workers = await Promise.all([1, 2, 3].map(() => start('workers/index.ts', env)))
  const done = () => inSystem((tx) => tx.invoiceRun.count({ where: { state: 'done' } }))
  try {
    await expect.poll(done, { timeout: 60_000 + WORKSPACES * 1_500, interval: 500 }).toBe(WORKSPACES)
  } finally {
    for (const worker of workers) expect(await worker.stop()).toBe(0)
  }
  const seconds = (performance.now() - began) / 1_000
  const asked = world.sandbox.journal.slice(from)
  const operations = [...new Set(asked.map(({ operation }) => operation))]
  const counts = operations.map((name) => `${name} ${asked.filter(({ operation }) => operation === name).length}`)
  console.info(`${WORKSPACES} workspaces in ${seconds.toFixed(0)} s: ${counts.join(', ')}`)
  expect(world.sandbox.limits.refused).toBe(0)
  expect(asked.filter(({ status }) => status === 429)).toEqual([])
  for (const name of operations) {
    const times = asked.filter(({ operation }) => operation === name).map(({ at }) => at)
    // A machine that stood still lets what was under way arrive together.
    expect(busiestSecond(times), name).toBeLessThanOrEqual(PER_SECOND + 1 + AT_ONCE)
  }
  for (const customer of customers) expect(stripeInvoices(world, customer)).toMatchObject([{ status: 'paid' }])
  const order = asked.flatMap((entry) => (entry.operation === 'invoices.create' ? [String(entry.params.customer)] : []))
  const late = customers.map(({ customerId }, index) => order.indexOf(customerId) - index)
  expect(order).toHaveLength(WORKSPACES)
  expect(Math.max(...late.map(Math.abs))).toBeLessThanOrEqual(2 * AT_ONCE)
})
