/** The receiving side of the sandbox's webhooks, and the queue that works off what they enqueue. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Logger, run } from 'graphile-worker'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { referencesOf } from '#app/domain/billing/internal/event-table.ts'
import { receiveStripeEvent } from '#app/domain/billing/receive-stripe-event.server.ts'
import { storeEvent } from '#app/domain/billing/store-event.server.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { makeMember, saveKeyDirectly } from '#test/factories.ts'
import { taskList } from '#workers/run-worker.ts'
import { type BillingWorld, type Customer, makeCustomer } from './billing-world.ts'

export const SECRET = 'whsec_flows'
export const NEXT_SECRET = 'whsec_next'
export const KEY = `sk-or-v1-${'0123456789abcdef'.repeat(4)}`

/** Events may be listed a little later than they were made. */
const OVERLAP_S = 10

export interface WebhookEndpoint {
  /** Statuses answered since the test began. */
  answers: number[]
  /** The next deliveries that are answered 500, as if the database were down. */
  failures: number
}

export function webhookEndpoint(world: BillingWorld): WebhookEndpoint {
  const state: WebhookEndpoint = { answers: [], failures: 0 }
  let server: Server
  beforeAll(async () => {
    world.db.configure({ STRIPE_WEBHOOK_SECRET: `${SECRET},${NEXT_SECRET}` })
    server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const header = request.headers['stripe-signature']?.toString()
      const status = state.failures-- > 0 ? 500 : await statusFor(Buffer.concat(chunks), header)
      state.answers.push(status)
      response.writeHead(status).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    if (world.hasSandbox) world.sandbox.webhooks.endpoint = { url: `http://127.0.0.1:${port}/webhook`, secret: SECRET }
  })
  beforeEach(() => void Object.assign(state, { answers: [], failures: 0 }))
  afterAll(() => new Promise((resolve) => server.close(resolve)))
  return state
}

/** Signatures carry the sender's real time, so the receiver's is real too. */
async function statusFor(rawBody: Buffer, signature: string | undefined): Promise<number> {
  try {
    await receiveStripeEvent({ rawBody, signature, now: new Date() })
    return 200
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return error.kind === 'too_large' ? 413 : 400
  }
}

/** Delivers what waits and runs the jobs that follow from it, with the product's own tasks, until none is left. */
export async function settle(world: BillingWorld): Promise<void> {
  const now = () => world.now()
  const waiting = async () => {
    if (world.hasSandbox) await world.sandbox.webhooks.settled()
    else if (await takeNewEvents(world)) return -1
    const { rows } = await systemPool().query<{ n: number }>(
      // No provider answers here, so what is asked of one stays in the queue.
      `SELECT count(*)::int AS n FROM graphile_worker.jobs
        WHERE attempts < max_attempts AND task_identifier <> 'refresh-key-models'`,
    )
    return rows[0]?.n
  }
  const options = {
    pgPool: systemPool(),
    concurrency: 3,
    noHandleSignals: true,
    logger: new Logger(() => () => undefined),
  }
  const runner = await run({ ...options, pollInterval: 50, taskList: taskList(now), crontab: '' })
  const pace = { timeout: 180_000, interval: world.hasSandbox ? 50 : 3_000 }
  try {
    await expect.poll(waiting, pace).toBe(0)
  } finally {
    await runner.stop()
  }
}

/** Nothing is delivered until it is let again. The events of a real account are only ever taken in `settle`. */
export function holdDeliveries(world: BillingWorld): void {
  if (world.hasSandbox) world.sandbox.webhooks.pause()
}
export function letDeliveries(world: BillingWorld): void {
  if (world.hasSandbox) world.sandbox.webhooks.resume()
}

/**
 * A real account cannot reach a test's endpoint: the events of this file's customers are fetched, as the sweep fetches lost
 * ones. @returns how many are new
 */
async function takeNewEvents(world: BillingWorld): Promise<number> {
  const rows = await inSystem((tx) => tx.workspace.findMany({ select: { stripeCustomerId: true } }))
  const ours = new Set(rows.map(({ stripeCustomerId }) => stripeCustomerId))
  let [stored, newest] = [0, world.since]
  for await (const event of world.stripe.events.list({ created: { gte: world.since }, limit: 100 })) {
    newest = Math.max(newest, event.created)
    if (!ours.has(referencesOf(event).customerId)) continue
    if ((await storeEvent(event, new Date())) === 'stored') stored += 1
  }
  // An account that others use too has many events: those before the last look are not listed again, but for a few seconds.
  world.since = Math.max(world.since, newest - OVERLAP_S)
  return stored
}

export async function customerWithKey(world: BillingWorld) {
  const customer = await makeCustomer(world)
  const admin = await makeMember(customer.workspaceId, 'owner')
  await saveKeyDirectly(admin, KEY)
  await settle(world)
  return { customer, admin }
}

export const workspaceOf = (customer: Customer) =>
  inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { id: customer.workspaceId } }))

export const keysOf = (customer: Customer) =>
  inSystem((tx) => tx.providerKey.findMany({ where: { workspaceId: customer.workspaceId }, select: { enabled: true } }))

export async function subscriptionItem(world: BillingWorld, customer: Customer): Promise<string> {
  const subscription = await world.stripe.subscriptions.retrieve(customer.subscriptionId)
  return subscription.items.data[0]?.id ?? ''
}

export async function moveTo(world: BillingWorld, customer: Customer, plan: 'pro' | 'enterprise'): Promise<void> {
  await world.stripe.subscriptions.update(customer.subscriptionId, {
    items: [{ id: await subscriptionItem(world, customer), price: world.prices[plan] }],
  })
}
