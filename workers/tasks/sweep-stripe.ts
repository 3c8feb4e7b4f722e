import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import type { Task } from '../task.ts'

export const sweepSubscriptions: Task<'sweep-stripe'> = async (_, { now }) => {
  await sweepStripe(now())
}
