import { formerRules } from '#app/domain/pricing/currency.ts'
import type { InvoiceRun } from '#app/generated/prisma/client.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
import type { ComputedInvoice } from './billing.ts'
import { computeInvoice } from './compute-invoice.ts'
import { gatherMonth, readTerms } from './internal/invoice-input.server.ts'
import { recountUsage } from './internal/usage-buckets.server.ts'

/**
 * A closed month computed again from its raw calls, events, corrections and key times, under the terms that the run was frozen
 * with. It must give the very lines and hash that were frozen (stripe §4 case 78).
 */
export async function replayInvoice(
  run: Pick<
    InvoiceRun,
    'workspaceId' | 'month' | 'currency' | 'terms' | 'openingResiduePico' | 'closingResiduePico' | 'linesHash'
  >,
): Promise<ComputedInvoice> {
  const terms = readTerms(run.currency, run.terms)
  const month = run.month as CalendarMonth
  // Before the transaction, which may not last as long as millions of calls take; the month is closed, so nothing moves meanwhile.
  const usage = await recountUsage(run.workspaceId, month)
  return inSystem(async (tx) => {
    const { input } = await gatherMonth(tx, run.workspaceId, month, { terms, usage })
    const openingResiduePico = BigInt(run.openingResiduePico.toFixed(0))
    const now = computeInvoice({ ...input, openingResiduePico })
    // A run that kept no rules was frozen by today's or by those before: where either gives its lines, those were its.
    const rules = terms.rules ? undefined : formerRules[run.currency]
    const before = rules && computeInvoice({ ...input, rules, openingResiduePico })
    const closing = BigInt(run.closingResiduePico.toFixed(0))
    return before?.linesHash === run.linesHash && before.closingResiduePico === closing ? before : now
  })
}
