import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { lockWorkspace } from '#app/domain/workspaces/change-plan.server.ts'
import type { Workspace } from '#app/generated/prisma/client.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { newId } from '#app/platform/ids.ts'
import {
  alreadySubscribed,
  amountNotPossible,
  creditsNotInCurrency,
  noCustomerYet,
  planNotSold,
  workspaceSuspended,
} from './checkout-errors.ts'
import { withCustomerLock } from './internal/advisory-lock.server.ts'
import { asUpstream } from './internal/ask-stripe.ts'
import {
  type CheckoutRequest,
  createPaymentCheckout,
  createPlanCheckout,
  createPortal,
  expireCheckout,
  listCheckouts,
  listPlanPrices,
  type StripeCheckout,
} from './internal/stripe-checkout.server.ts'
import { createCustomer, listSubscriptions } from './internal/stripe-customers.server.ts'
import { subscriptionFacts } from './internal/subscription-facts.ts'
import { TOP_UP_LEAST_CENTS, TOP_UP_MOST_CENTS } from './top-up.ts'

/** Statuses with which a subscription goes on: its plan is changed in the portal, not bought a second time. */
const LIVE = new Set(['active', 'trialing', 'past_due', 'unpaid', 'paused', 'incomplete'])

type Buyer = Workspace & { stripeCustomerId: string }

/** @returns the page of Stripe's where a plan is bought. @throws AppError `already_subscribed`, `plan_not_sold`, `workspace_suspended`, `stripe_unavailable` */
export async function startPlanCheckout(ctx: Ctx, { planId }: { planId: string }): Promise<string> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const buyer = await readBuyer(ctx)
  if (buyer.stripeSubscriptionId && LIVE.has(buyer.subscriptionStatus ?? '')) throw alreadySubscribed()
  const price = await asUpstream(() => priceOfPlan(buyer, planId))
  const request = requestFor(ctx, buyer, billingPage(buyer.slug), { purpose: 'plan', plan_id: planId })
  return withCustomerLock(`plan:${buyer.stripeCustomerId}`, async () => {
    const open = await asUpstream(() => onlyOpenSession(buyer.stripeCustomerId, planId))
    await asUpstream(() => refuseSecondSubscription(buyer.stripeCustomerId))
    if (open?.url) return open.url
    const session = await asUpstream(() => createPlanCheckout(request, price))
    return recordStart(ctx, session, { purpose: 'plan', planId, amountCents: null })
  })
}

/**
 * A customer has one plan session that can be paid: two, from a double click or another tab, could both be paid and make two
 * subscriptions, each charged every month. @returns the one of this plan that is open already
 */
async function onlyOpenSession(customer: string, planId: string): Promise<StripeCheckout | undefined> {
  const open = (await listCheckouts(customer, 'open')).filter((session) => session.metadata?.purpose === 'plan')
  const same = open.find((session) => session.metadata?.plan_id === planId && session.url)
  for (const session of open) if (session !== same) await expireCheckout(session.id)
  return same
}

/** Asked of Stripe: the event of a subscription that was just paid may not have come yet. */
async function refuseSecondSubscription(customer: string): Promise<void> {
  const live = (await listSubscriptions(customer)).filter(({ status }) => LIVE.has(status))
  const productIds = live.flatMap((one) => subscriptionFacts(one, null, null).productIds)
  const ofPlans = await inSystem((tx) => tx.planProduct.count({ where: { productId: { in: productIds } } }))
  if (ofPlans > 0) throw alreadySubscribed()
}

/** @returns the page where credits are bought. @throws AppError `amount_not_possible`, `workspace_suspended`, `stripe_unavailable` */
export async function startTopUp(ctx: Ctx, { amountCents }: { amountCents: number }): Promise<string> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const possible =
    Number.isInteger(amountCents) && amountCents >= TOP_UP_LEAST_CENTS && amountCents <= TOP_UP_MOST_CENTS
  if (!possible) throw amountNotPossible(TOP_UP_LEAST_CENTS, TOP_UP_MOST_CENTS)
  const buyer = await readBuyer(ctx)
  if (buyer.currency !== 'usd') throw creditsNotInCurrency(buyer.currency)
  const request = requestFor(ctx, buyer, creditsPage(buyer.slug), {
    purpose: 'top_up',
    amount_cents: String(amountCents),
  })
  const item = { name: 'Credits for AI usage', currency: buyer.currency, cents: amountCents }
  const session = await asUpstream(() => createPaymentCheckout(request, item))
  return recordStart(ctx, session, { purpose: 'top_up', planId: null, amountCents: BigInt(amountCents) })
}

/** @returns the portal's address for one visit: plan, payment method, invoices. @throws AppError `no_customer_yet`, `stripe_unavailable` */
export async function openBillingPortal(ctx: Ctx): Promise<string> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  const workspace = await inTenant({ workspaceId }, (tx) =>
    tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }),
  )
  const customer = workspace.stripeCustomerId
  if (!customer) throw noCustomerYet()
  if (workspace.suspendedAt) throw workspaceSuspended()
  return asUpstream(() => createPortal(customer, `${billingPage(workspace.slug)}?back=portal`))
}

const billingPage = (slug: string): string => `${env().appOrigin}/w/${slug}/settings/billing`
const creditsPage = (slug: string): string => `${env().appOrigin}/w/${slug}/settings/credits`

/** The workspace with its Stripe customer, which is made where it never had one; a deleted one is never made anew. */
async function readBuyer(ctx: Ctx): Promise<Buyer> {
  const { workspaceId } = ctx
  const read = () => inTenant({ workspaceId }, (tx) => tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }))
  const workspace = await read()
  if (workspace.suspendedAt) throw workspaceSuspended()
  if (workspace.stripeCustomerId) return { ...workspace, stripeCustomerId: workspace.stripeCustomerId }
  return withCustomerLock(`workspace:${workspaceId}`, async () => {
    const now = await read()
    if (now.stripeCustomerId) return { ...now, stripeCustomerId: now.stripeCustomerId }
    const made = await asUpstream(() => createCustomer(workspaceId, now.name, ctx.now()))
    return { ...now, stripeCustomerId: await linkCustomer(ctx, made) }
  })
}

/** @returns the customer that is linked now: one that an operator linked while this one was made stays */
async function linkCustomer(ctx: Ctx, stripeCustomerId: string): Promise<string> {
  const { workspaceId } = ctx
  return inSystem(async (tx) => {
    const { stripeCustomerId: linked } = await lockWorkspace(tx, workspaceId)
    if (linked) return linked
    await tx.workspace.update({ where: { id: workspaceId }, data: { stripeCustomerId } })
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: 'workspace.customer_linked',
      subjectType: 'workspace',
      subjectId: workspaceId,
      detail: { customer: stripeCustomerId },
      at: ctx.now(),
    })
    return stripeCustomerId
  })
}

/** The product's only active price in the workspace's currency: which of several is meant nobody could know. */
async function priceOfPlan(buyer: Buyer, planId: string): Promise<string> {
  const products = await inTenant({ workspaceId: buyer.id }, async (tx) => {
    const { preset } = await tx.plan.findUniqueOrThrow({ where: { id: buyer.planId }, select: { preset: true } })
    return tx.planProduct.findMany({ where: { planId, plan: { preset } }, select: { productId: true } })
  })
  const prices = (await Promise.all(products.map(({ productId }) => listPlanPrices(productId)))).flat()
  const [only, ...more] = prices.filter((price) => price.currency === buyer.currency)
  if (!only || more.length) throw planNotSold()
  return only.id
}

/** `page`: the one that the buyer came from, and comes back to, whether it was paid or not. */
function requestFor(ctx: Ctx, buyer: Buyer, page: string, facts: Record<string, string>): CheckoutRequest {
  return {
    customer: buyer.stripeCustomerId,
    metadata: { workspace_id: ctx.workspaceId, ...facts },
    paidUrl: `${page}?checkout={CHECKOUT_SESSION_ID}`,
    leftUrl: `${page}?back=checkout`,
    idempotencyKey: `keymargin:checkout:${newId()}`,
  }
}

interface Start {
  purpose: 'plan' | 'top_up'
  planId: string | null
  amountCents: bigint | null
}

async function recordStart(ctx: Ctx, session: StripeCheckout, start: Start): Promise<string> {
  const { workspaceId } = ctx
  const at = ctx.now()
  const { purpose, planId, amountCents } = start
  const stripe = { status: session.status ?? 'open', paymentStatus: session.payment_status }
  await inTenant({ workspaceId, userId: ctx.actor.id }, async (tx) => {
    const who = { startedBy: ctx.actor.id, startedAt: at, updatedAt: at }
    await tx.checkout.create({ data: { workspaceId, id: session.id, purpose, planId, amountCents, ...stripe, ...who } })
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: 'checkout.started',
      subjectType: 'checkout',
      subjectId: session.id,
      detail: { purpose, plan: planId ?? '', cents: amountCents?.toString() ?? '' },
      at,
    })
  })
  return session.url ?? ''
}

/** Where the forms that lead to Checkout and the portal may send a browser to. */
export const paymentOrigins = (): string[] =>
  env().stripeApiBase
    ? [new URL(env().stripeApiBase as string).origin]
    : ['https://checkout.stripe.com', 'https://billing.stripe.com']
