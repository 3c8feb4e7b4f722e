import { syncStripeObject } from '#app/domain/billing/sync-stripe-object.server.ts'
import type { Task } from '../task.ts'

export const syncFromStripe: Task<'sync-stripe-object'> = async ({ eventId }, { now }) => {
  await syncStripeObject({ eventId }, now())
}
