import { compareStripe } from '#app/domain/billing/compare-stripe.server.ts'
import type { Task } from '../task.ts'

export const compareAllWithStripe: Task<'compare-stripe'> = async (_, { now }) => {
  await compareStripe(now())
}
