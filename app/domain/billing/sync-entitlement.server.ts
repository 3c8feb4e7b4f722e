import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import type { Actor } from '#app/domain/permissions/permissions.ts'
import { type PlanRules, planAllowsProvider } from '#app/domain/plans/plans.ts'
import { listPlans, planOfProduct } from '#app/domain/plans/queries.server.ts'
import { purgeWorkspaceKeys } from '#app/domain/vault/purge-workspace-keys.server.ts'
import { changePlan, lockWorkspace } from '#app/domain/workspaces/change-plan.server.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { type Entitlement, entitlementOf, type SubscriptionFacts } from './entitlement.ts'
import { withCustomerLock } from './internal/advisory-lock.server.ts'
import { findCustomer, listSubscriptions } from './internal/stripe.server.ts'
import { subscriptionFacts } from './internal/subscription-facts.ts'

export interface EntitlementInput {
  workspaceId: string
  /** The Stripe event that made us look, or `sweep`. */
  cause: string
}

const SYSTEM: Actor = { kind: 'system' }

/**
 * Reads all of the customer's subscriptions and makes the workspace's plan what they entitle to now. Where that plan holds
 * no keys, the keys are destroyed in the same transaction (stripe §2.7). Reading and applying happen under one lock per
 * customer, so an older answer never overtakes a newer one.
 * @returns `plan_<id>` · `paused` · `unknown_product` · `no_subscription` · `no_customer`
 */
export async function syncEntitlement({ workspaceId, cause }: EntitlementInput, now: Date): Promise<string> {
  const workspace = await inSystem((tx) =>
    tx.workspace.findUnique({ where: { id: workspaceId }, select: { stripeCustomerId: true } }),
  )
  const customerId = workspace?.stripeCustomerId
  if (!customerId) return 'no_customer'
  return withCustomerLock(customerId, async () => {
    const customerDeleted = (await findCustomer(customerId)) === null
    const facts = (await listSubscriptions(customerId)).map(subscriptionFacts)
    return inSystem((tx) => applyEntitlement(tx, { workspaceId, cause, facts, customerDeleted, now }))
  })
}

interface Applied {
  workspaceId: string
  cause: string
  facts: SubscriptionFacts[]
  customerDeleted: boolean
  now: Date
}

async function applyEntitlement(tx: Tx, input: Applied): Promise<string> {
  const { workspaceId, now } = input
  const before = await lockWorkspace(tx, workspaceId)
  // Never subscribed through Stripe: the operator gave the plan by hand, and only an operator takes it away.
  if (!input.customerDeleted && input.facts.length === 0 && !before.stripeSubscriptionId) return 'no_subscription'
  const plans = new Map<string, PlanRules | null>()
  for (const id of new Set(input.facts.flatMap((subscription) => subscription.productIds))) {
    plans.set(id, await planOfProduct(tx, id))
  }
  const entitlement: Entitlement = input.customerDeleted
    ? { kind: 'none', subscription: null }
    : entitlementOf(input.facts, (id) => plans.get(id) ?? null, now)
  if (entitlement.kind === 'unknown_product') {
    await raiseAlert(tx, {
      kind: 'stripe_unknown_product',
      reference: entitlement.productId,
      workspaceId,
      message: `Stripe product ${entitlement.productId} is mapped to no plan. The workspace keeps its plan until it is.`,
      at: now,
    })
    return 'unknown_product'
  }
  const plan = entitlement.kind === 'none' ? await lowestPlan(tx, before.planId) : entitlement.plan
  const { subscription } = entitlement
  await changePlan(tx, {
    workspaceId,
    planId: plan.id,
    subscription: {
      id: subscription?.id ?? null,
      status: subscription?.status ?? null,
      endsAt: subscription?.endsAt ?? null,
    },
    cause: input.cause,
    actor: SYSTEM,
    at: now,
  })
  await settleKeys(tx, input, entitlement, { planId: before.planId, status: before.subscriptionStatus }, plan.id)
  await settleWarning(tx, workspaceId, subscription?.status ?? null, now)
  return entitlement.kind === 'paused' ? 'paused' : `plan_${plan.id}`
}

/** Keys follow the plan: those that it does not allow are destroyed, disabled while paused, enabled again when the pause ends. */
async function settleKeys(
  tx: Tx,
  { workspaceId, cause, customerDeleted, now }: Applied,
  entitlement: Exclude<Entitlement, { kind: 'unknown_product' }>,
  before: { planId: string; status: string | null },
  planId: string,
): Promise<void> {
  const keys = await tx.providerKey.findMany({
    where: { workspaceId },
    select: { id: true, provider: true, enabled: true },
  })
  // A key that was removed by hand leaves the workspace's data key behind: leaving the plan ends that one too.
  const dataKeys = await tx.workspaceDataKey.count({ where: { workspaceId } })
  if (keys.length === 0 && dataKeys === 0) return
  const ended = entitlement.kind === 'none' || (entitlement.kind === 'paused' && entitlement.purge)
  const keeps = (provider: string) => !ended && planAllowsProvider(entitlement.plan, provider)
  const holdsNone = ended || entitlement.plan.allowedProviders.length === 0
  if (holdsNone || keys.some((key) => !keeps(key.provider))) {
    const why = customerDeleted ? 'customer_deleted' : ended ? entitlement.kind : 'plan_changed'
    const reason = why === 'none' ? 'subscription_ended' : why === 'paused' ? 'paused_too_long' : why
    await purgeWorkspaceKeys(tx, {
      workspaceId,
      cause: reason,
      causeReference: cause,
      fromPlanId: before.planId,
      toPlanId: planId,
      actor: SYSTEM,
      at: now,
      keeps,
    })
    if (!keys.some((key) => keeps(key.provider))) return
  }
  const enabled = entitlement.kind === 'plan'
  const resumed = enabled && before.status === 'paused'
  if (enabled && !resumed) return
  // Keys that their holder switched off stay off when the pause ends.
  const where = { workspaceId, enabled: !enabled, switchedOff: false }
  const { count } = await tx.providerKey.updateMany({ where, data: { enabled } })
  if (count > 0) await tx.workspace.update({ where: { id: workspaceId }, data: { keyEpoch: { increment: 1 } } })
}

/** Payment trouble keeps the plan for now; the operator sees it coming. */
async function settleWarning(tx: Tx, workspaceId: string, status: string | null, now: Date): Promise<void> {
  if (status !== 'past_due') return resolveAlert(tx, 'subscription_past_due', workspaceId, now)
  await raiseAlert(tx, {
    kind: 'subscription_past_due',
    reference: workspaceId,
    workspaceId,
    message: 'The subscription is past due. Plan and keys stay until Stripe’s retries end.',
    at: now,
  })
}

/** The lowest plan of the same product: a catalogue may hold the plans of several. */
async function lowestPlan(tx: Tx, planId: string) {
  const { preset } = await tx.plan.findUniqueOrThrow({ where: { id: planId }, select: { preset: true } })
  const ids = new Set((await tx.plan.findMany({ where: { preset }, select: { id: true } })).map((plan) => plan.id))
  const lowest = (await listPlans(tx)).find((plan) => ids.has(plan.id))
  if (!lowest) throw new Error('The catalogue holds no plans.')
  return lowest
}
