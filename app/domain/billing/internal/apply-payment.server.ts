import { raiseNotice, resolveNotices } from '#app/domain/notifications/notices.server.ts'
import type { Tx } from '#app/platform/db.server.ts'
import type { Dunning, PaymentMethod } from '../payment-state.ts'
import { paymentFailed, upgradeAwaitsPayment } from '../stripe-words.ts'

export interface PaymentReading {
  method: PaymentMethod | null
  dunning: Dunning
  /** The plan of an upgrade that awaits its payment. */
  pendingPlan: { id: string; name: string } | null
  paused: boolean
}

const billing = 'settings/billing'

/** Keeps how the customer pays, for pages, and tells the workspace what it must do about it, once per trouble. */
export async function applyPayment(tx: Tx, workspaceId: string, reading: PaymentReading, now: Date): Promise<void> {
  const { method, dunning, pendingPlan, paused } = reading
  const before = await tx.paymentState.findUnique({ where: { workspaceId } })
  const failing = dunning.attempts > 0
  const failedAgain = failing && dunning.attempts !== before?.attempts
  const state = {
    methodKind: method?.kind ?? null,
    methodBrand: method?.brand ?? null,
    methodLast4: method?.last4 ?? null,
    methodExpMonth: method?.expMonth ?? null,
    methodExpYear: method?.expYear ?? null,
    pastDueSince: failing ? (before?.pastDueSince ?? now) : null,
    nextAttemptAt: dunning.nextAttemptAt,
    lastFailureAt: failedAgain ? now : failing ? (before?.lastFailureAt ?? now) : null,
    attempts: dunning.attempts,
    owedCents: dunning.owedCents,
    payUrl: dunning.payUrl,
    pausedSince: paused ? (before?.pausedSince ?? now) : null,
    pendingPlanId: pendingPlan?.id ?? null,
    readAt: now,
  }
  await tx.paymentState.upsert({ where: { workspaceId }, create: { workspaceId, ...state }, update: state })
  const about = { workspaceId, path: billing, at: now }
  if (failedAgain) {
    await resolveNotices(tx, { workspaceId, kinds: ['payment_failed'], reference: workspaceId, at: now })
    const { currency } = await tx.workspace.findUniqueOrThrow({
      where: { id: workspaceId },
      select: { currency: true },
    })
    const words = paymentFailed({ amountCents: dunning.owedCents, currency }, dunning.nextAttemptAt)
    await raiseNotice(tx, { ...about, ...words, kind: 'payment_failed', reference: workspaceId })
  }
  if (!failing) await resolveNotices(tx, { workspaceId, kinds: PAYMENT_TROUBLE, reference: workspaceId, at: now })
  if (pendingPlan && pendingPlan.id !== before?.pendingPlanId)
    await raiseNotice(tx, {
      ...about,
      ...upgradeAwaitsPayment(pendingPlan.name),
      kind: 'upgrade_pending',
      reference: workspaceId,
    })
  if (!pendingPlan)
    await resolveNotices(tx, { workspaceId, kinds: ['upgrade_pending'], reference: workspaceId, at: now })
}

const PAYMENT_TROUBLE = ['payment_failed', 'payment_action', 'invoice_overdue']
