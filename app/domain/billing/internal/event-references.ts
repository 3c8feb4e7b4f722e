import type Stripe from 'stripe'

const WATCHED = [
  /^customer\.subscription\.(created|updated|deleted|paused|resumed|pending_update_applied|pending_update_expired)$/,
  /^subscription_schedule\.(updated|released|completed|canceled|aborted)$/,
  /^invoice\.(created|updated|finalized|finalization_failed|paid|payment_failed|payment_action_required|voided|marked_uncollectible|overdue|overpaid|deleted)$/,
  /^customer\.(updated|deleted)$/,
]

/** The event types that can change what we hold (stripe §2.6). All others are answered and forgotten. */
export const isWatched = (type: string): boolean => WATCHED.some((pattern) => pattern.test(type))

export interface EventReferences {
  objectId: string
  customerId: string | null
}

/** Whom the event speaks of; the only thing that is taken from its payload. */
export function referencesOf(event: Stripe.Event): EventReferences {
  const object = event.data.object as { id?: unknown; object?: unknown; customer?: unknown }
  const objectId = typeof object.id === 'string' ? object.id : event.id
  if (object.object === 'customer') return { objectId, customerId: objectId }
  return { objectId, customerId: idOf(object.customer) }
}

function idOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  const id = (value as { id?: unknown } | null)?.id
  return typeof id === 'string' ? id : null
}
