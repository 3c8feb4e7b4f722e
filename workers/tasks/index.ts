import type { JobName } from '#app/domain/jobs/jobs.ts'
import type { Task } from '../task.ts'
import { cleanFlows } from './clean-oauth-flows.ts'
import { closeMonthOfAll } from './close-month.ts'
import { closeWorkspaceMonth } from './close-workspace-month.ts'
import { compareAllWithStripe } from './compare-stripe.ts'
import { compareOneWithStripe } from './compare-workspace-stripe.ts'
import { ensureMonthPartitions } from './ensure-partitions.ts'
import { expireOldCredits } from './expire-credits.ts'
import { grantCreditsOfMonth } from './grant-monthly-credits.ts'
import { issueDecidedCreditNote } from './issue-credit-note.ts'
import { mailDueNotices } from './mail-notices.ts'
import { pollAllBalances } from './poll-balances.ts'
import { pollBalance } from './poll-key-balance.ts'
import { reconcileAllBooks } from './reconcile-books.ts'
import { reconcileHeld } from './reconcile-held-calls.ts'
import { refreshPriceLists } from './refresh-catalogues.ts'
import { refreshModels } from './refresh-key-models.ts'
import { refreshAllModels } from './refresh-models.ts'
import { reprobeAllKeys } from './reprobe-keys.ts'
import { reprobeKey } from './reprobe-provider-key.ts'
import { reratePastCalls } from './rerate-calls.ts'
import { sweepOpenAttempts } from './sweep-attempts.ts'
import { sweepSubscriptions } from './sweep-stripe.ts'
import { syncFromStripe } from './sync-stripe-object.ts'
import { tellOfSpentBudgets } from './tell-of-budgets.ts'
import { unlockJobsOfDeadWorkers } from './unlock-dead-workers.ts'
import { writeRun } from './write-invoice-run.ts'

/** Every job of the catalogue has its task, and no task is without a job: the type says so. */
export const tasks: { [N in JobName]: Task<N> } = {
  'close-month': closeMonthOfAll,
  'close-workspace-month': closeWorkspaceMonth,
  'write-invoice-run': writeRun,
  'issue-credit-note': issueDecidedCreditNote,
  'reconcile-books': reconcileAllBooks,
  'rerate-calls': reratePastCalls,
  'sync-stripe-object': syncFromStripe,
  'sweep-stripe': sweepSubscriptions,
  'compare-stripe': compareAllWithStripe,
  'compare-workspace-stripe': compareOneWithStripe,
  'sweep-attempts': sweepOpenAttempts,
  'reconcile-held-calls': reconcileHeld,
  'reprobe-provider-key': reprobeKey,
  'reprobe-keys': reprobeAllKeys,
  'refresh-models': refreshAllModels,
  'refresh-key-models': refreshModels,
  'refresh-catalogues': refreshPriceLists,
  'poll-balances': pollAllBalances,
  'poll-key-balance': pollBalance,
  'grant-monthly-credits': grantCreditsOfMonth,
  'expire-credits': expireOldCredits,
  'tell-of-budgets': tellOfSpentBudgets,
  'mail-notices': mailDueNotices,
  'clean-oauth-flows': cleanFlows,
  'unlock-dead-workers': unlockJobsOfDeadWorkers,
  'ensure-partitions': ensureMonthPartitions,
}
