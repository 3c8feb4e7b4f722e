import { tellOfBudgets } from '#app/domain/budgets/tell-of-budgets.server.ts'
import type { Task } from '../task.ts'

export const tellOfSpentBudgets: Task<'tell-of-budgets'> = async (_payload, { now }) => {
  await tellOfBudgets(now())
}
