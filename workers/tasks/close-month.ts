import { closeMonth } from '#app/domain/billing/close-month.server.ts'
import { monthOf, shiftMonth } from '#app/platform/calendar-month.ts'
import type { Task } from '../task.ts'

/** The month before the one the tick belongs to: from the cron timestamp, so that a late run closes the right month. */
export const closeMonthOfAll: Task<'close-month'> = async ({ month, _cron }, { now }) => {
  await closeMonth(month ?? shiftMonth(monthOf(_cron ? new Date(_cron.ts) : now()), -1))
}
