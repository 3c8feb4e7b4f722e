/** What a workspace is told and shown of its subscription beside its plan: what is planned, what is wrong, whether it is suspended. */
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { raiseNotice, resolveNotices } from '#app/domain/notifications/notices.server.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import type { Tx } from '#app/platform/db.server.ts'
import type { ScheduledChange } from '../entitlement.ts'
import {
  planChangeScheduled,
  purchaseExpired,
  subscriptionPaused,
  subscriptionUnpaid,
  type Words,
} from '../stripe-words.ts'

const billing = 'settings/billing'

/** Stores a planned change of plan, or that there is none, and announces it once. */
export async function applySchedule(
  tx: Tx,
  workspaceId: string,
  change: ScheduledChange | null,
  plans: { of: (id: string) => PlanRules | undefined; now: PlanRules },
  now: Date,
): Promise<void> {
  const before = await tx.workspace.findUniqueOrThrow({
    where: { id: workspaceId },
    select: { scheduledPlanId: true, scheduledChangeAt: true },
  })
  const same =
    before.scheduledPlanId === (change?.planId ?? null) && before.scheduledChangeAt?.getTime() === change?.at.getTime()
  if (same) return
  const data = { scheduledPlanId: change?.planId ?? null, scheduledChangeAt: change?.at ?? null }
  await tx.workspace.update({ where: { id: workspaceId }, data })
  await resolveNotices(tx, { workspaceId, kinds: ['plan_change_scheduled'], reference: workspaceId, at: now })
  const next = change && plans.of(change.planId)
  if (!change || !next) return
  const keysGo = plans.now.allowedProviders.some((id) => !next.allowedProviders.includes(id))
  const words = planChangeScheduled(next.name, change.at, keysGo)
  const about = { workspaceId, kind: 'plan_change_scheduled', reference: workspaceId, path: billing, at: now }
  await raiseNotice(tx, { ...about, ...words })
}

const STATUS_WORDS: Record<string, [kind: string, words: () => Words]> = {
  paused: ['subscription_paused', subscriptionPaused],
  unpaid: ['subscription_unpaid', subscriptionUnpaid],
  incomplete_expired: ['purchase_expired', purchaseExpired],
}

/** Says once what the subscription's status means, and takes it back when it has passed. Past due: the operator sees it coming. */
export async function applyStatus(
  tx: Tx,
  workspaceId: string,
  status: string | null,
  before: string | null,
  now: Date,
): Promise<void> {
  const [kind, words] = STATUS_WORDS[status ?? ''] ?? []
  const others = Object.values(STATUS_WORDS).flatMap(([other]) => (other === kind ? [] : [other]))
  await resolveNotices(tx, { workspaceId, kinds: others, reference: workspaceId, at: now })
  if (kind && words && status !== before)
    await raiseNotice(tx, { workspaceId, kind, reference: workspaceId, path: billing, at: now, ...words() })
  if (status !== 'past_due') {
    await resolveAlert(tx, 'subscription_past_due', workspaceId, now)
    return
  }
  await raiseAlert(tx, {
    kind: 'subscription_past_due',
    reference: workspaceId,
    workspaceId,
    message: 'The subscription is past due. Plan and keys stay until Stripe’s retries end.',
    at: now,
  })
}

/**
 * The Stripe customer is gone: nobody pays for this workspace, and a customer is never made anew (stripe §4 case 24). Its
 * unfinished runs are uncollectable and its calls are refused; both end only by an operator's hand.
 */
export async function suspend(
  tx: Tx,
  workspaceId: string,
  customerId: string,
  cause: string,
  now: Date,
): Promise<void> {
  const { count } = await tx.workspace.updateMany({
    where: { id: workspaceId, suspendedAt: null },
    data: { suspendedAt: now, keyEpoch: { increment: 1 } },
  })
  await tx.invoiceRun.updateMany({
    where: { workspaceId, state: { in: ['frozen', 'writing', 'held'] } },
    data: {
      state: 'uncollectable',
      heldReason: 'customer_deleted',
      heldDetail: `Stripe has no customer ${customerId}`,
      updatedAt: now,
    },
  })
  if (count === 0) return
  await raiseAlert(tx, {
    kind: 'customer_deleted',
    reference: customerId,
    workspaceId,
    message:
      'The Stripe customer of this workspace was deleted. Its plan and keys are gone and its calls are refused. Collect what is owed by other means, and link another customer (npm run stripe:customer) to let it go on.',
    at: now,
  })
  await recordAudit(tx, {
    workspaceId,
    actor: { kind: 'system' },
    action: 'workspace.suspended',
    subjectType: 'workspace',
    subjectId: workspaceId,
    detail: { customer: customerId, cause },
    at: now,
  })
}

/** A customer that exists was linked: calls are taken again. */
export async function endSuspension(tx: Tx, workspaceId: string, cause: string, now: Date): Promise<void> {
  const { count } = await tx.workspace.updateMany({
    where: { id: workspaceId, suspendedAt: { not: null }, endedAt: null },
    data: { suspendedAt: null, keyEpoch: { increment: 1 } },
  })
  if (count === 0) return
  await recordAudit(tx, {
    workspaceId,
    actor: { kind: 'system' },
    action: 'workspace.suspension_ended',
    subjectType: 'workspace',
    subjectId: workspaceId,
    detail: { cause },
    at: now,
  })
}
