/** Common ground of the billing flows: a Stripe sandbox under contract, workspaces that are customers, and usage. */

import type Stripe from 'stripe'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { writeInvoiceRun } from '#app/domain/billing/write-invoice-run.server.ts'
import type { CallRecord } from '#app/domain/ledger/ledger.ts'
import { ensurePartitions, importCalls } from '#app/domain/ledger/record-calls.server.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { parsePico } from '#app/platform/pico.ts'
import { dropSingleton } from '#app/platform/singleton.server.ts'
import { type TestDatabase, useDatabase as testDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { sdkClient, seedCustomer, testModeClient } from '#test/sandbox/stripe/sdk-client.ts'
import { type StripeSandbox, startStripeSandbox } from '#test/sandbox/stripe/stripe-sandbox.ts'
import { SandboxOrSkip, stripeTarget } from './stripe-target.ts'

export const OCTOBER = parseMonth('2026-10')
export const NOVEMBER = parseMonth('2026-11')
export const CLOSE_TIME = new Date('2026-11-03T02:00:00Z')
export const clock = () => CLOSE_TIME
const PLANS = ['plus', 'pro', 'enterprise'] as const
export type PlanId = (typeof PLANS)[number]

export interface BillingWorld {
  db: TestDatabase
  /** In test mode there is none: whoever asks for it skips the test (see stripe-target.ts). */
  readonly sandbox: StripeSandbox
  readonly hasSandbox: boolean
  /** Stripe's time: the sandbox's clock, or that of a real account, which is everybody's. */
  now(): Date
  stripe: Stripe
  /** Monthly price of each plan's product. */
  prices: Record<PlanId, string>
  /** When the file began, by Stripe's time: events of before are not ours. */
  since: number
}

export interface Customer {
  workspaceId: string
  customerId: string
  subscriptionId: string
}

/** One sandbox and one database per test file. Any violation of Stripe's contract fails the test that caused it. */
export function billingWorld(): BillingWorld {
  const target = stripeTarget()
  const place = new SandboxOrSkip()
  const db = testDatabase()
  const world = { db, prices: {}, hasSandbox: target.kind === 'sandbox', since: 0 } as BillingWorld
  Object.defineProperty(world, 'sandbox', { get: () => place.get() })
  world.now = () => (place.sandbox ? new Date(place.sandbox.world.now()) : new Date())
  beforeAll(async () => {
    world.since = Math.floor(Date.now() / 1000) - 1
    if (target.kind === 'sandbox') {
      place.sandbox = await startStripeSandbox({ contract: 'strict', now: CLOSE_TIME })
      world.stripe = sdkClient(place.sandbox)
      const stripe = { STRIPE_API_BASE: place.sandbox.url, STRIPE_SECRET_KEY: place.sandbox.apiKey }
      db.configure({ ...stripe, STRIPE_REQUESTS_PER_SECOND: '1000' })
    } else {
      world.stripe = testModeClient(target)
      db.configure({ STRIPE_SECRET_KEY: target.key, ...(target.base && { STRIPE_API_BASE: target.base }) })
    }
    dropSingleton('stripe')
    for (const plan of PLANS) await seedPlan(world, plan)
  })
  beforeEach((context) => place.enter(context))
  afterEach(async () => {
    if (!place.sandbox) return
    place.sandbox.faults.clear()
    place.sandbox.webhooks.knobs = {}
    await place.sandbox.webhooks.settled()
    expect(place.sandbox.contract?.take()).toEqual([])
  })
  afterAll(async () => {
    await place.sandbox?.close()
    dropSingleton('stripe')
  })
  return world
}

async function seedPlan(world: BillingWorld, plan: PlanId): Promise<void> {
  // An account in test mode keeps its products: each run makes its own.
  const id = world.hasSandbox ? `prod_sbx_${plan}` : undefined
  const product = await world.stripe.products.create({ id, name: plan })
  const recurring = { interval: 'month' as const }
  const price = { product: product.id, currency: 'usd', unit_amount: 10_000, recurring }
  world.prices[plan] = (await world.stripe.prices.create(price)).id
  await inSystem((tx) =>
    tx.planProduct.upsert({
      where: { productId: product.id },
      create: { productId: product.id, planId: plan },
      update: { planId: plan },
    }),
  )
}

/** A workspace that is a Stripe customer with an active subscription to its plan. */
export async function makeCustomer(
  world: BillingWorld,
  options: { plan?: PlanId; card?: Parameters<typeof seedCustomer>[1] } = {},
): Promise<Customer> {
  const planId = options.plan ?? 'enterprise'
  const customerId = await seedCustomer(world.stripe)
  const subscription = await world.stripe.subscriptions.create({
    customer: customerId,
    items: [{ price: world.prices[planId] }],
  })
  if (options.card === 'none') world.sandbox.world.state.customers[customerId]!.defaultPaymentMethod = null
  const { id: workspaceId } = await makeWorkspace({ planId, stripeCustomerId: customerId })
  await inSystem((tx) =>
    tx.workspace.update({
      where: { id: workspaceId },
      data: { stripeSubscriptionId: subscription.id, subscriptionStatus: 'active' },
    }),
  )
  return { workspaceId, customerId, subscriptionId: subscription.id }
}

export interface Usage {
  at?: string
  /** USD texts. `raw` null: not known (held). */
  tierPrice: string
  raw?: string | null
  keySource?: 'platform' | 'workspace'
  tier?: 'frontier' | 'balanced' | 'cost_effective'
  priceBookVersion?: number
}

const pico = (usd: string): bigint => {
  const value = parsePico(usd)
  if (value === undefined) throw new Error(`${usd} is no amount`)
  return value
}

function callOf(workspaceId: string, usage: Usage): CallRecord {
  const dispatchedAt = new Date(usage.at ?? '2026-10-15T12:00:00.000Z')
  const keySource = usage.keySource ?? 'workspace'
  const raw = usage.raw === null ? null : pico(usage.raw ?? '0')
  const tierPricePico = pico(usage.tierPrice)
  const margin = raw === null ? null : tierPricePico > raw ? tierPricePico - raw : 0n
  return {
    workspaceId,
    id: newId(dispatchedAt),
    dispatchedAt,
    tokenId: null,
    surface: 'agent_run',
    provider: 'openrouter',
    model: 'anthropic/claude-opus-4.6',
    upstreamModel: null,
    endpoint: 'chat' as const,
    fallbackOf: null,
    tier: usage.tier ?? 'frontier',
    keySource,
    keyId: null,
    keyVersion: null,
    chargeMode: keySource === 'workspace' ? 'tier_margin' : 'tier',
    markupBp: null,
    basisPico: null,
    basisSource: null,
    creditPico: 0n,
    priceBookVersion: usage.priceBookVersion ?? 1,
    streamed: false,
    origin: 'import',
    status: 'ok',
    httpStatus: 200,
    errorCode: null,
    responseModel: null,
    inputTokens: 1_000n,
    outputTokens: 100n,
    cacheReadTokens: null,
    cacheWriteTokens: null,
    reasoningTokens: null,
    usageSource: 'imported',
    rawCostPico: raw,
    costSource: raw === null ? 'unknown' : 'imported',
    costClamped: false,
    priceRow: null,
    latencyMs: null,
    firstByteMs: null,
    upstreamId: null,
    tierPricePico,
    chargePico: keySource === 'workspace' ? margin : tierPricePico,
  }
}

export async function recordUsage(workspaceId: string, usages: Usage[]): Promise<void> {
  const calls = usages.map((usage) => callOf(workspaceId, usage))
  await ensurePartitions(calls.map((call) => call.dispatchedAt))
  expect((await importCalls(calls)).size).toBe(calls.length)
}

/** October of a customer on its own key and on the platform's: $12.345 + $3.40 + $5.00 in three lines. */
export const OCTOBER_USAGE: Usage[] = [
  { tierPrice: '20.345', raw: '8' },
  { tierPrice: '3.4', raw: '0', tier: 'balanced' },
  { tierPrice: '5', keySource: 'platform' },
]

export async function freezeOctober(customer: Customer): Promise<string> {
  const frozen = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: OCTOBER, now: CLOSE_TIME })
  if (!frozen) throw new Error('October holds no calls')
  return frozen.runId
}

export const write = (customer: Customer, runId: string, now = clock) =>
  writeInvoiceRun({ workspaceId: customer.workspaceId, runId }, now)

export const runRow = (customer: Customer, runId: string) =>
  inSystem((tx) =>
    tx.invoiceRun.findUniqueOrThrow({
      where: { workspaceId_id: { workspaceId: customer.workspaceId, id: runId } },
      include: { lines: { orderBy: { position: 'asc' } }, operations: { orderBy: { seq: 'asc' } } },
    }),
  )

/** What Stripe really holds of ours: the ground truth, read past the API. */
export function stripeInvoices(world: BillingWorld, customer: Customer) {
  const { invoices, invoiceItems } = world.sandbox.world.state
  return Object.values(invoices)
    .filter((invoice) => invoice.customer === customer.customerId && !invoice.subscription && !invoice.deleted)
    .map((invoice) => {
      const items = Object.values(invoiceItems).filter((item) => item.invoice === invoice.id)
      return {
        id: invoice.id,
        status: invoice.status,
        runId: invoice.metadata.run_id,
        amounts: items.map((item) => item.amount),
      }
    })
}

/** Items that hang on no invoice: the next one would sweep them up. There must never be any. */
export const pendingItems = (world: BillingWorld) =>
  Object.values(world.sandbox.world.state.invoiceItems).filter((item) => item.invoice === null)

/** One invoice, all of the frozen lines on it, the same sum on both sides. */
export async function expectOneInvoice(world: BillingWorld, customer: Customer, runId: string): Promise<void> {
  const run = await runRow(customer, runId)
  const invoices = world.hasSandbox ? stripeInvoices(world, customer) : await invoicesByApi(world, customer)
  expect(invoices).toHaveLength(1)
  const frozen = run.lines.map((line) => Number(line.amountCents)).filter((amount) => amount > 0)
  expect(invoices[0]?.amounts.toSorted()).toEqual(frozen.toSorted())
  expect(invoices[0]?.amounts.reduce((sum, amount) => sum + amount, 0)).toBe(Number(run.totalCents))
  // A real account collects in its own time.
  expect(world.hasSandbox ? ['paid'] : ['open', 'paid']).toContain(invoices[0]?.status)
  expect(run).toMatchObject({ state: 'done', stripeInvoiceId: invoices[0]?.id })
  expect(run.operations.every((operation) => operation.state === 'done')).toBe(true)
  const { workspaceId, month, kind } = run
  const standing = { workspaceId, month, kind, state: { not: 'superseded' } }
  expect(await inSystem((tx) => tx.invoiceRun.count({ where: standing }))).toBe(1)
  const { data: pending } = await world.stripe.invoiceItems.list({ customer: customer.customerId, pending: true })
  expect(pending).toEqual([])
}

/** The same as `stripeInvoices`, where there is no looking behind the API. */
async function invoicesByApi(world: BillingWorld, customer: Customer) {
  const { data } = await world.stripe.invoices.list({ customer: customer.customerId, limit: 100 })
  const ours = data.filter((invoice) => invoice.parent?.subscription_details == null)
  return Promise.all(
    ours.map(async (invoice) => {
      const lines = await world.stripe.invoices.listLineItems(invoice.id, { limit: 100 })
      const amounts = lines.data.map((line) => line.amount)
      return { id: invoice.id, status: invoice.status, runId: invoice.metadata?.run_id, amounts }
    }),
  )
}
