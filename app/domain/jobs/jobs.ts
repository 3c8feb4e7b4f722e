import { z } from 'zod'
import { parseMonth } from '#app/platform/calendar-month.ts'

const id = z.uuid()
const month = z.string().transform((text) => parseMonth(text))
const nothing = z.object({}).loose()

/**
 * Every job, by name, with the schema of its payload. Payloads hold ids, never secrets or amounts, and are parsed as
 * strangers: a job may have been written by an older or a newer version of this code.
 */
export const jobSchemas = {
  /** Cron: the month before the tick's own, for every workspace. */
  'close-month': z.object({
    _cron: z.object({ ts: z.iso.datetime({ offset: true }) }).optional(),
    month: month.optional(),
  }),
  'close-workspace-month': z.object({ workspaceId: id, month }),
  'write-invoice-run': z.object({ workspaceId: id, runId: id }),
  'issue-credit-note': z.object({ workspaceId: id, runId: id, creditNoteId: id }),
  'reconcile-books': nothing,
  'rerate-calls': z.object({ rerateId: id }),
  'sync-stripe-object': z.object({ eventId: z.string().regex(/^evt_\w{1,250}$/) }),
  'sweep-stripe': nothing,
  /** Cron: one job per workspace with a Stripe customer. */
  'compare-stripe': nothing,
  'compare-workspace-stripe': z.object({ workspaceId: id }),
  'sweep-attempts': nothing,
  'reconcile-held-calls': nothing,
  'reprobe-provider-key': z.object({ workspaceId: id, keyId: id }),
  /** Cron: one job per enabled key. */
  'reprobe-keys': nothing,
  'refresh-models': nothing,
  'refresh-key-models': z.object({ workspaceId: id, keyId: id }),
  'poll-balances': nothing,
  'poll-key-balance': z.object({ workspaceId: id, keyId: id }),
  'refresh-catalogues': nothing,
  /** Cron: every workspace's; at once for one that came onto a plan. */
  'grant-monthly-credits': z.object({ workspaceId: id.optional() }),
  'expire-credits': nothing,
  'tell-of-budgets': nothing,
  'mail-notices': nothing,
  'clean-oauth-flows': nothing,
  'unlock-dead-workers': nothing,
  'ensure-partitions': nothing,
} as const

export type JobName = keyof typeof jobSchemas
export type JobPayload<N extends JobName> = z.output<(typeof jobSchemas)[N]>
export type JobInput<N extends JobName> = z.input<(typeof jobSchemas)[N]>
export const jobNames = Object.keys(jobSchemas) as JobName[]
