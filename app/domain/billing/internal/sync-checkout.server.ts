import { grantCredits } from '#app/domain/credits/grant-credits.server.ts'
import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { raiseNotice } from '#app/domain/notifications/notices.server.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { PICO_PER_CENT } from '#app/platform/pico.ts'
import { debitFailed } from '../stripe-words.ts'
import { findCheckout, type StripeCheckout } from './stripe-checkout.server.ts'

/**
 * Mirrors one Checkout session, and grants what it bought once it is paid: at `completed` where the money came at once, at
 * `async_payment_succeeded` where it came later, and once only whichever of them is looked at how often (stripe §4 case 42).
 * @param event the type that made us look; only a failed debit is told apart by it
 */
export async function syncCheckout(workspaceId: string, id: string, event: string | null, now: Date): Promise<string> {
  const session = await findCheckout(id)
  if (!session) return 'checkout_missing'
  // Its metadata is ours, but its customer is what it was paid by: one of another workspace grants nothing here.
  const ours = session.metadata?.workspace_id === workspaceId
  await inSystem(async (tx) => {
    await tx.checkout.updateMany({
      where: { workspaceId, id },
      data: { status: session.status ?? 'open', paymentStatus: session.payment_status, updatedAt: now },
    })
    if (ours && session.metadata?.purpose === 'top_up' && session.payment_status === 'paid')
      await grant(tx, workspaceId, session, now)
    if (event === 'checkout.session.async_payment_failed' && session.payment_status !== 'paid')
      await raiseNotice(tx, {
        workspaceId,
        kind: 'debit_failed',
        reference: id,
        path: 'settings/billing',
        at: now,
        ...debitFailed(),
      })
  })
  return `checkout_${session.status ?? 'unknown'}_${session.payment_status}`
}

/** What was paid before tax: credits are not worth more where tax is higher. */
async function grant(tx: Tx, workspaceId: string, session: StripeCheckout, at: Date): Promise<void> {
  const cents = session.amount_subtotal ?? 0
  if (session.currency !== 'usd' || cents <= 0) {
    await raiseAlert(tx, {
      kind: 'top_up_not_granted',
      reference: session.id,
      workspaceId,
      message: `A paid top-up is of ${cents} ${session.currency ?? '?'}; credits are USD. Grant it by hand or refund it.`,
      at,
    })
    return
  }
  await grantCredits(tx, {
    workspaceId,
    kind: 'purchased',
    amountPico: BigInt(cents) * PICO_PER_CENT,
    reference: `stripe:${session.id}`,
    expiresAt: null,
    actor: { kind: 'system' },
    at,
  })
}
