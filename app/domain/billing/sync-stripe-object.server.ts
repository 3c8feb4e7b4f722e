import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import type { StripeEvent } from '#app/generated/prisma/client.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { type Look, looksAfter } from './internal/event-table.ts'
import { syncCheckout } from './internal/sync-checkout.server.ts'
import { syncInvoice } from './internal/sync-invoice.server.ts'
import { customerOfDispute, syncCreditNote, syncDispute, syncRefund } from './internal/sync-reversals.server.ts'
import { releaseTaxHolds } from './release-invoice-run.server.ts'
import { syncEntitlement } from './sync-entitlement.server.ts'

export interface SyncInput {
  eventId: string
}

/**
 * Looks again at what an event spoke of and applies what is true now, whatever the event said, however often and in
 * whatever order it came (stripe §2.6, §4 cases 31–33, 37). A later event of the same object replaces the waiting job of an
 * earlier one, so all that wait are answered together: each type's looks, once.
 * @returns what came of it, as the events' rows keep it
 */
export async function syncStripeObject({ eventId }: SyncInput, now: Date): Promise<string> {
  const event = await inSystem((tx) => tx.stripeEvent.findUnique({ where: { id: eventId } }))
  if (!event) return 'unknown_event'
  const waiting = await inSystem((tx) =>
    tx.stripeEvent.findMany({
      where: { objectId: event.objectId, processedAt: null },
      select: { id: true, type: true },
    }),
  )
  const types = new Set([event.type, ...waiting.map(({ type }) => type)])
  const outcome = await apply(event, [...types], now)
  await inSystem((tx) =>
    tx.stripeEvent.updateMany({
      where: { id: { in: [event.id, ...waiting.map(({ id }) => id)] }, processedAt: null },
      data: { processedAt: now, outcome },
    }),
  )
  return outcome
}

async function apply(event: StripeEvent, types: string[], now: Date): Promise<string> {
  const looks = [...new Set(types.flatMap((type) => looksAfter(type) ?? []))]
  const customerId = event.customerId ?? (looks.includes('dispute') ? await customerOfDispute(event.objectId) : null)
  // The workspace whose customer it is, or was: what was begun there goes on. Plan and keys are never its matter any more.
  const customer = customerId
    ? await inSystem((tx) => tx.stripeCustomer.findUnique({ where: { id: customerId } }))
    : null
  if (!customer) {
    await inSystem((tx) =>
      raiseAlert(tx, {
        kind: 'stripe_unknown_customer',
        reference: customerId ?? event.objectId,
        message: `Stripe sent ${event.type} for a customer that belongs to no workspace. Link the customer (npm run stripe:customer) or ignore it.`,
        at: now,
      }),
    )
    return 'unknown_customer'
  }
  const outcomes: string[] = []
  for (const look of looks)
    outcomes.push(...(await LOOK[look]({ workspaceId: customer.workspaceId, event, types, now })))
  return outcomes.join(', ')
}

interface Looking {
  workspaceId: string
  event: StripeEvent
  types: string[]
  now: Date
}

/** What each look does. In the table's order: an invoice before the plan that its payment may bring back. */
const LOOK: Record<Look, (looking: Looking) => Promise<string[]>> = {
  invoice: async ({ workspaceId, event, types, now }) => [await syncInvoice(workspaceId, event.objectId, now, types)],
  credit_note: async ({ workspaceId, event, now }) => [await syncCreditNote(workspaceId, event.objectId, now)],
  refund: async ({ workspaceId, event, now }) => [await syncRefund(workspaceId, event.objectId, now)],
  dispute: async ({ workspaceId, event, now }) => [await syncDispute(workspaceId, event.objectId, now)],
  checkout: async ({ workspaceId, event, types, now }) => {
    const failed = types.find((type) => type === 'checkout.session.async_payment_failed') ?? null
    return [await syncCheckout(workspaceId, event.objectId, failed, now)]
  },
  tax_holds: async ({ workspaceId, now }) => {
    await inSystem((tx) => releaseTaxHolds(tx, workspaceId, now))
    return []
  },
  customer: async ({ workspaceId, event, now }) => [await syncEntitlement({ workspaceId, cause: event.id }, now)],
}
