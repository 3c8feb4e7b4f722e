import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import type { Actor } from '#app/domain/permissions/permissions.ts'
import type { PlanRules, ProductMeaning } from '#app/domain/plans/plans.ts'
import { listPlans, meaningOfProducts } from '#app/domain/plans/queries.server.ts'
import { needsDollars } from '#app/domain/pricing/currency.ts'
import { changePlan, type LockedWorkspace, lockWorkspace } from '#app/domain/workspaces/change-plan.server.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import {
  type Entitlement,
  entitlementOf,
  everSubscribed,
  goodPlanSubscriptions,
  type SubscriptionFacts,
  scheduledChange,
  unknownProducts,
} from './entitlement.ts'
import { withCustomerLock } from './internal/advisory-lock.server.ts'
import { applyKeys } from './internal/apply-keys.server.ts'
import { applyPayment } from './internal/apply-payment.server.ts'
import { applySchedule, applyStatus, endSuspension, suspend } from './internal/apply-standing.server.ts'
import { type CustomerReading, readStripeCustomer } from './internal/read-customer.server.ts'

export interface EntitlementInput {
  workspaceId: string
  /** The Stripe event that made us look, or `sweep`. */
  cause: string
}

const SYSTEM: Actor = { kind: 'system' }

/**
 * Reads all that Stripe holds of the workspace's customer and makes the workspace what that entitles to now: plan, keys,
 * what is planned, how it pays. Where the plan holds no keys they are destroyed in the same transaction (stripe §2.7).
 * Reading and applying happen under one lock per customer, so an older answer never overtakes a newer one.
 * @returns `plan_<id>` · `paused` · `unknown_product` · `no_subscription` · `no_customer` · `unknown_customer` · `customer_changed`
 */
export async function syncEntitlement({ workspaceId, cause }: EntitlementInput, now: Date): Promise<string> {
  const workspace = await inSystem((tx) =>
    tx.workspace.findUnique({
      where: { id: workspaceId },
      select: { stripeCustomerId: true, paymentState: { select: { pausedSince: true } } },
    }),
  )
  const customerId = workspace?.stripeCustomerId
  if (!customerId) return 'no_customer'
  return withCustomerLock(customerId, async () => {
    const reading = await readStripeCustomer(customerId, workspace.paymentState?.pausedSince ?? null)
    if (!reading) return inSystem((tx) => tellUnknownCustomer(tx, workspaceId, customerId, now))
    return inSystem((tx) => apply(tx, { workspaceId, customerId, cause, reading, now }))
  })
}

interface Applied {
  workspaceId: string
  customerId: string
  cause: string
  reading: CustomerReading
  now: Date
}

async function apply(tx: Tx, input: Applied): Promise<string> {
  const { workspaceId, customerId, cause, reading, now } = input
  const before = await lockWorkspace(tx, workspaceId)
  // Linked to another while this one was read: what was read is not of the workspace any more.
  if (before.stripeCustomerId !== customerId) return 'customer_changed'
  await resolveAlert(tx, 'stripe_customer_missing', workspaceId, now)
  if (reading.deleted) await suspend(tx, workspaceId, customerId, cause, now)
  else await endSuspension(tx, workspaceId, cause, now)
  const catalogue = await readCatalogue(tx, reading.subscriptions, before.planId)
  const entitlement: Entitlement = reading.deleted
    ? { kind: 'none', subscription: null }
    : entitlementOf(reading.subscriptions, catalogue.meaningOf, now)
  await applyPayment(tx, workspaceId, paymentOf(reading, catalogue, entitlement), now)
  // Never subscribed through Stripe: the operator gave the plan by hand, and only an operator takes it away.
  const never = !everSubscribed(reading.subscriptions, catalogue.meaningOf) && !before.stripeSubscriptionId
  for (const productId of unknownProducts(reading.subscriptions, catalogue.meaningOf))
    await tellUnknownProduct(tx, workspaceId, productId, now)
  if (!reading.deleted && never) return 'no_subscription'
  if (entitlement.kind === 'unknown_product') return 'unknown_product'
  return applyPlan(tx, input, before, catalogue, entitlement)
}

async function applyPlan(
  tx: Tx,
  { workspaceId, cause, reading, now }: Applied,
  before: LockedWorkspace,
  catalogue: PlanCatalogue,
  entitlement: Exclude<Entitlement, { kind: 'unknown_product' }>,
): Promise<string> {
  const plan = entitlement.kind === 'none' ? catalogue.lowest : entitlement.plan
  const { subscription } = entitlement
  const [id, status, endsAt] = [subscription?.id ?? null, subscription?.status ?? null, subscription?.endsAt ?? null]
  await changePlan(tx, {
    workspaceId,
    planId: plan.id,
    subscription: { id, status, endsAt },
    cause,
    actor: SYSTEM,
    at: now,
  })
  const was = { planId: before.planId, status: before.subscriptionStatus }
  const change = { workspaceId, cause, customerDeleted: reading.deleted, now, before: was, planId: plan.id }
  await applyKeys(tx, change, entitlement)
  await tellOfSeveral(tx, workspaceId, goodPlanSubscriptions(reading.subscriptions, catalogue.meaningOf), now)
  await tellOfCurrency(tx, workspaceId, plan, now)
  const planned = scheduledChange(reading.subscriptions, catalogue.meaningOf, catalogue.lowest.id, now)
  await applySchedule(tx, workspaceId, planned, { of: catalogue.byId, now: plan }, now)
  await applyStatus(tx, workspaceId, status, before.subscriptionStatus, now)
  return entitlement.kind === 'paused' ? 'paused' : `plan_${plan.id}`
}

interface PlanCatalogue {
  meaningOf: (productId: string) => ProductMeaning
  byId: (planId: string) => PlanRules | undefined
  /** The lowest plan of the same product: a catalogue may hold the plans of several. */
  lowest: PlanRules
}

async function readCatalogue(tx: Tx, subscriptions: SubscriptionFacts[], planId: string): Promise<PlanCatalogue> {
  const { preset } = await tx.plan.findUniqueOrThrow({ where: { id: planId }, select: { preset: true } })
  const ids = new Set((await tx.plan.findMany({ where: { preset }, select: { id: true } })).map((plan) => plan.id))
  const plans = await listPlans(tx)
  const lowest = plans.find((plan) => ids.has(plan.id))
  if (!lowest) throw new Error('The catalogue holds no plans.')
  const products = subscriptions.flatMap((one) => [
    ...one.productIds,
    ...(one.next?.productIds ?? []),
    ...one.pendingProductIds,
  ])
  const meanings = await meaningOfProducts(tx, [...new Set(products)])
  const byId = new Map(plans.map((plan) => [plan.id, plan]))
  return { meaningOf: (id) => meanings.get(id) ?? null, byId: (id) => byId.get(id), lowest }
}

function paymentOf(reading: CustomerReading, { meaningOf }: PlanCatalogue, entitlement: Entitlement) {
  const meanings = reading.subscriptions.flatMap((one) => one.pendingProductIds.map(meaningOf))
  const pending = meanings.flatMap((meaning) => (meaning === null || meaning === 'add_on' ? [] : meaning))
  const [pendingPlan = null] = pending
  return { ...reading.payment, pendingPlan, paused: entitlement.kind === 'paused' }
}

const tellUnknownProduct = (tx: Tx, workspaceId: string, productId: string, at: Date) =>
  raiseAlert(tx, {
    kind: 'stripe_unknown_product',
    reference: productId,
    workspaceId,
    message: `A workspace pays for Stripe product ${productId}, which is mapped to no plan and listed as no add-on. It entitles to nothing until the catalogue says what it is: planProducts or addOnProducts.`,
    at,
  })

/**
 * A key of another account or mode knows none of our customers. Were that taken for "deleted", one wrong setting would destroy
 * the keys of every workspace within the hour; so nothing is touched until the customer is found, or found deleted.
 */
async function tellUnknownCustomer(tx: Tx, workspaceId: string, customerId: string, at: Date): Promise<string> {
  await raiseAlert(tx, {
    kind: 'stripe_customer_missing',
    reference: workspaceId,
    workspaceId,
    message: `Stripe has never had a customer ${customerId}. Is STRIPE_SECRET_KEY of another account or mode? Plan and keys stay as they are until the customer is found, or another is linked.`,
    at,
  })
  return 'unknown_customer'
}

/** Where a currency is set the plan is looked at; here the plan comes to the currency, and the workspace's calls are refused or its months held. */
async function tellOfCurrency(tx: Tx, workspaceId: string, plan: PlanRules, at: Date): Promise<void> {
  const { currency } = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, select: { currency: true } })
  const hasFee = plan.workspaceChargeMode === 'flat_fee' && plan.keyFeePico > 0n
  const inDollars = hasFee || [plan.platformChargeMode, plan.workspaceChargeMode].some(needsDollars)
  if (currency === 'usd' || !inDollars) return resolveAlert(tx, 'plan_needs_dollars', workspaceId, at)
  await raiseAlert(tx, {
    kind: 'plan_needs_dollars',
    reference: workspaceId,
    workspaceId,
    message: `The plan ${plan.name} reckons in USD, and the workspace is billed in ${currency.toUpperCase()}. Calls and usage that need dollars are refused with 503, and a month with a key fee is held. Change the plan in Stripe; before the first invoice the workspace's currency can be changed too.`,
    at,
  })
}

/** Each is charged every month, and one plan is all that comes of them. */
async function tellOfSeveral(tx: Tx, workspaceId: string, ids: string[], at: Date): Promise<void> {
  if (ids.length < 2) return resolveAlert(tx, 'several_subscriptions', workspaceId, at)
  await raiseAlert(tx, {
    kind: 'several_subscriptions',
    reference: workspaceId,
    workspaceId,
    message: `The workspace pays for ${ids.length} subscriptions to plans (${ids.join(', ')}) and has the best one of them. Cancel in Stripe what it does not mean to pay.`,
    at,
  })
}
