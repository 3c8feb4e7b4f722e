import { grantMonthlyCredits } from '#app/domain/credits/grant-monthly-credits.server.ts'
import { databaseNow } from '#app/platform/db.server.ts'
import type { Task } from '../task.ts'

export const grantCreditsOfMonth: Task<'grant-monthly-credits'> = async ({ workspaceId = null }) => {
  // By the clock that credits expire by: a worker that runs ahead must not grant a month that has not begun.
  await grantMonthlyCredits(workspaceId, await databaseNow())
}
