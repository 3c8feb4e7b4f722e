import type { CronItem } from 'graphile-worker'
import type { JobName } from '#app/domain/jobs/jobs.ts'

type KnownCronItem = CronItem & { task: JobName; identifier: string }

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

/**
 * UTC. Identifiers never change: the queue knows by them what already ran. A tick that was missed while no worker ran is
 * made up for within its backfill period, with its own timestamp, so that the month it closes is right.
 * The month is closed on the 3rd: 48 hours of grace for calls and costs that arrive late.
 */
export const crontab: KnownCronItem[] = [
  { task: 'close-month', identifier: 'close-month', match: '10 0 3 * *', options: { backfillPeriod: 20 * DAY } },
  {
    task: 'refresh-catalogues',
    identifier: 'refresh-catalogues',
    match: '37 * * * *',
    options: { backfillPeriod: 60 * MINUTE },
  },
  { task: 'ensure-partitions', identifier: 'ensure-partitions', match: '5 0 * * *', options: { backfillPeriod: DAY } },
  { task: 'sweep-stripe', identifier: 'sweep-stripe', match: '17 * * * *', options: { backfillPeriod: 60 * MINUTE } },
  { task: 'compare-stripe', identifier: 'compare-stripe', match: '5 5 * * *', options: { backfillPeriod: DAY } },
  {
    task: 'sweep-attempts',
    identifier: 'sweep-attempts',
    match: '* * * * *',
    options: { backfillPeriod: 0, maxAttempts: 1 },
  },
  {
    task: 'reconcile-held-calls',
    identifier: 'reconcile-held-calls',
    match: '*/5 * * * *',
    options: { backfillPeriod: 0, maxAttempts: 1 },
  },
  {
    task: 'reconcile-books',
    identifier: 'reconcile-books',
    match: '30 2 * * *',
    options: { backfillPeriod: 12 * 60 * MINUTE },
  },
  { task: 'reprobe-keys', identifier: 'reprobe-keys', match: '20 4 * * *', options: { backfillPeriod: 0 } },
  { task: 'refresh-models', identifier: 'refresh-models', match: '40 4 * * *', options: { backfillPeriod: 0 } },
  { task: 'poll-balances', identifier: 'poll-balances', match: '23 * * * *', options: { backfillPeriod: 0 } },
  {
    task: 'mail-notices',
    identifier: 'mail-notices',
    match: '* * * * *',
    options: { backfillPeriod: 0, maxAttempts: 1 },
  },
  {
    task: 'grant-monthly-credits',
    identifier: 'grant-monthly-credits',
    match: '*/5 * * * *',
    options: { backfillPeriod: 0 },
  },
  { task: 'expire-credits', identifier: 'expire-credits', match: '*/5 * * * *', options: { backfillPeriod: 0 } },
  {
    task: 'tell-of-budgets',
    identifier: 'tell-of-budgets',
    match: '* * * * *',
    options: { backfillPeriod: 0, maxAttempts: 1 },
  },
  { task: 'clean-oauth-flows', identifier: 'clean-oauth-flows', match: '50 3 * * *', options: { backfillPeriod: 0 } },
  {
    task: 'unlock-dead-workers',
    identifier: 'unlock-dead-workers',
    match: '* * * * *',
    options: { backfillPeriod: 0, maxAttempts: 1 },
  },
]
