import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { asUpstream } from './internal/ask-stripe.ts'
import { syncCheckout } from './internal/sync-checkout.server.ts'
import { type Expiry, expiryOf } from './payment-state.ts'
import { syncEntitlement } from './sync-entitlement.server.ts'

/** How a workspace pays and stands with Stripe, as it was last read. Amounts are texts of cents, times ISO texts. */
export interface PaymentState {
  /** There is a Stripe customer to pay, and a subscription to change. */
  hasCustomer: boolean
  hasSubscription: boolean
  subscriptionStatus: string | null
  /** What the workspace is billed in, lower case. */
  currency: string
  suspendedAt: string | null
  method: { kind: string; brand: string | null; last4: string | null; expires: string | null; expiry: Expiry } | null
  /** Of invoices whose payment failed; null: nothing is wrong. */
  dunning: {
    since: string
    owedCents: string
    attempts: number
    nextAttemptAt: string | null
    payUrl: string | null
  } | null
  scheduled: { planName: string; at: string } | null
  pendingPlanName: string | null
  /** null: Stripe was never asked. */
  readAt: string | null
}

/** @throws AppError forbidden */
export async function getPaymentState(ctx: Ctx): Promise<PaymentState> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Invoice', { workspaceId })
  const { workspace, pending } = await inTenant({ workspaceId }, async (tx) => {
    const found = await tx.workspace.findUniqueOrThrow({
      where: { id: workspaceId },
      include: { paymentState: true, scheduledPlan: { select: { name: true } } },
    })
    const id = found.paymentState?.pendingPlanId
    const plan = id ? await tx.plan.findUnique({ where: { id }, select: { name: true } }) : null
    return { workspace: found, pending: plan?.name ?? null }
  })
  const { paymentState: state, scheduledPlan, scheduledChangeAt, subscriptionStatus, stripeSubscriptionId } = workspace
  const ended = [null, 'canceled', 'incomplete_expired'].includes(subscriptionStatus)
  return {
    hasCustomer: workspace.stripeCustomerId !== null,
    hasSubscription: stripeSubscriptionId !== null && !ended,
    subscriptionStatus,
    currency: workspace.currency,
    suspendedAt: workspace.suspendedAt?.toISOString() ?? null,
    method: methodOf(state, ctx.now()),
    dunning: state?.pastDueSince
      ? {
          since: state.pastDueSince.toISOString(),
          owedCents: state.owedCents.toString(),
          attempts: state.attempts,
          nextAttemptAt: state.nextAttemptAt?.toISOString() ?? null,
          payUrl: state.payUrl,
        }
      : null,
    scheduled:
      scheduledPlan && scheduledChangeAt ? { planName: scheduledPlan.name, at: scheduledChangeAt.toISOString() } : null,
    pendingPlanName: pending,
    readAt: state?.readAt.toISOString() ?? null,
  }
}

interface MethodRow {
  methodKind: string | null
  methodBrand: string | null
  methodLast4: string | null
  methodExpMonth: number | null
  methodExpYear: number | null
}

function methodOf(row: MethodRow | null, now: Date): PaymentState['method'] {
  if (!row?.methodKind) return null
  const { methodExpMonth: expMonth, methodExpYear: expYear } = row
  const expires = expMonth && expYear ? `${String(expMonth).padStart(2, '0')}/${expYear}` : null
  const expiry = expiryOf({ expMonth, expYear }, now)
  return { kind: row.methodKind, brand: row.methodBrand, last4: row.methodLast4, expires, expiry }
}

/** A plan that could be bought, lowest first. */
export interface PlanOnSale {
  id: string
  name: string
  current: boolean
}

/** Plans of the workspace's own product that stand for a product of Stripe's. */
export async function listPlansOnSale(ctx: Ctx): Promise<PlanOnSale[]> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Invoice', { workspaceId })
  return inTenant({ workspaceId }, async (tx) => {
    const { plan } = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, select: { plan: true } })
    const rows = await tx.plan.findMany({
      where: { preset: plan.preset, products: { some: {} } },
      orderBy: { rank: 'asc' },
      select: { id: true, name: true },
    })
    return rows.map((row) => ({ ...row, current: row.id === plan.id }))
  })
}

/** What became of a Checkout session, read from Stripe. `unknown`: it is none of this workspace's. */
export type CheckoutOutcome =
  | { kind: 'unknown' }
  | {
      kind: 'plan' | 'top_up'
      status: string
      paymentStatus: string
      amountCents: string | null
      planName: string | null
    }

/**
 * What happened at Checkout, by asking Stripe, not the address that the browser came back with; and applies it at once, as
 * its event is going to.
 * @param id the session's id; null: the last one that was started
 * @throws AppError forbidden, upstream `stripe_unavailable`
 */
export async function readCheckout(ctx: Ctx, id: string | null): Promise<CheckoutOutcome> {
  const { workspaceId } = ctx
  authorize(ctx, 'manage:Billing', { workspaceId })
  if (id?.includes('\0')) return { kind: 'unknown' } // no id holds one, and PostgreSQL refuses to look for it
  const find = () =>
    inTenant({ workspaceId }, (tx) =>
      tx.checkout.findFirst({ where: { workspaceId, ...(id !== null && { id }) }, orderBy: { startedAt: 'desc' } }),
    )
  const known = await find()
  if (!known) return { kind: 'unknown' }
  await asUpstream(async () => {
    await syncCheckout(workspaceId, known.id, null, ctx.now())
    await syncEntitlement({ workspaceId, cause: known.id }, ctx.now())
  })
  const row = await find()
  if (!row) return { kind: 'unknown' }
  const plan = row.planId
    ? await inTenant({ workspaceId }, (tx) =>
        tx.plan.findUnique({ where: { id: row.planId ?? '' }, select: { name: true } }),
      )
    : null
  return {
    kind: row.purpose === 'plan' ? 'plan' : 'top_up',
    status: row.status,
    paymentStatus: row.paymentStatus,
    amountCents: row.amountCents?.toString() ?? null,
    planName: plan?.name ?? null,
  }
}

/** Reads the customer again now: somebody comes back from the portal. @throws AppError forbidden, upstream `stripe_unavailable` */
export async function refreshFromStripe(ctx: Ctx): Promise<void> {
  const { workspaceId } = ctx
  authorize(ctx, 'manage:Billing', { workspaceId })
  await asUpstream(() => syncEntitlement({ workspaceId, cause: 'portal' }, ctx.now()))
}

export interface ReversalView {
  id: string
  kind: 'credit_note' | 'refund' | 'dispute'
  runId: string | null
  number: string | null
  amountCents: string
  currency: string
  status: string
  at: string
}

/** What was given back, newest first. Disputes are between the vendor and a bank: they stay with operators. */
export async function listReversals(ctx: Ctx): Promise<ReversalView[]> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Invoice', { workspaceId })
  const rows = await inTenant({ workspaceId }, (tx) =>
    tx.stripeReversal.findMany({
      where: { workspaceId, kind: { not: 'dispute' } },
      orderBy: { createdAt: 'desc' },
      take: 100,
    }),
  )
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind as ReversalView['kind'],
    runId: row.runId,
    number: row.number,
    amountCents: row.amountCents.toString(),
    currency: row.currency,
    status: row.status,
    at: row.createdAt.toISOString(),
  }))
}
