import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import type { StripeEvent } from '#app/generated/prisma/client.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { syncInvoice } from './internal/sync-invoice.server.ts'
import { releaseTaxHolds } from './release-invoice-run.server.ts'
import { syncEntitlement } from './sync-entitlement.server.ts'

export interface SyncInput {
  eventId: string
}

/**
 * Looks again at what an event spoke of and applies what is true now, whatever the event said, however often and in
 * whatever order it came (stripe §2.6, §4 cases 31–33, 37).
 * @returns what came of it, as the event's row keeps it
 */
export async function syncStripeObject({ eventId }: SyncInput, now: Date): Promise<string> {
  const event = await inSystem((tx) => tx.stripeEvent.findUnique({ where: { id: eventId } }))
  if (!event) return 'unknown_event'
  const outcome = await apply(event, now)
  // Events of the same object that came while this one waited had no job of their own: this look serves them too.
  await inSystem((tx) =>
    tx.stripeEvent.updateMany({
      where: { objectId: event.objectId, processedAt: null, receivedAt: { lte: event.receivedAt } },
      data: { processedAt: now, outcome },
    }),
  )
  return outcome
}

async function apply(event: StripeEvent, now: Date): Promise<string> {
  const workspace = event.customerId
    ? await inSystem((tx) =>
        tx.workspace.findUnique({ where: { stripeCustomerId: event.customerId as string }, select: { id: true } }),
      )
    : null
  if (!workspace) {
    await inSystem((tx) =>
      raiseAlert(tx, {
        kind: 'stripe_unknown_customer',
        reference: event.customerId ?? event.objectId,
        message: `Stripe sent ${event.type} for a customer that belongs to no workspace. Link the customer or ignore it.`,
        at: now,
      }),
    )
    return 'unknown_customer'
  }
  if (event.type.startsWith('invoice.')) {
    const mirrored = await syncInvoice(workspace.id, event.objectId, now)
    if (event.type !== 'invoice.paid') return mirrored
    // Paying an unpaid invoice may bring the plan back (stripe §2.7).
    return `${mirrored}, ${await syncEntitlement({ workspaceId: workspace.id, cause: event.id }, now)}`
  }
  if (event.type === 'customer.updated') await inSystem((tx) => releaseTaxHolds(tx, workspace.id, now))
  return syncEntitlement({ workspaceId: workspace.id, cause: event.id }, now)
}
