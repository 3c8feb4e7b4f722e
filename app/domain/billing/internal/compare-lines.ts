import { displayMinor } from '#app/domain/pricing/currency.ts'
import type { RunBundle, StripeInvoice, StripeLine } from './writer-ports.ts'

/** What was frozen, and whom it is billed to. */
export interface Frozen {
  run: Pick<RunBundle['run'], 'totalCents' | 'linesHash' | 'currency'>
  lines: RunBundle['lines']
  workspace: Pick<RunBundle['workspace'], 'stripeCustomerId'>
}

/** What an invoice comes to, without tax, in minor units: a rate that changed since is no difference of ours (stripe §4 case 27). */
export const billedOf = (invoice: Pick<StripeInvoice, 'subtotal' | 'subtotal_excluding_tax'>): bigint =>
  BigInt(invoice.subtotal_excluding_tax ?? invoice.subtotal)

/** The lines of an invoice by the key that they were frozen under; null: a line that is none of ours. */
export const linesOnStripe = (lines: StripeLine[]): { lineKey: string | null; amount: bigint }[] =>
  lines.map((line) => ({ lineKey: line.metadata.line_key ?? null, amount: BigInt(line.amount) }))

/**
 * The one comparison of what was frozen with what Stripe holds (stripe §2.2, §4 cases 16, 18): owner, currency, hash, every line,
 * the sum. @returns the first difference, in words for an operator; null where they are equal
 */
export function compareWithFrozen(
  { run, lines, workspace }: Frozen,
  invoice: StripeInvoice,
  onInvoice: StripeLine[],
): string | null {
  const owner = typeof invoice.customer === 'string' ? invoice.customer : (invoice.customer?.id ?? '')
  const customer = workspace.stripeCustomerId ?? ''
  if (owner !== customer) return `customer ${owner} instead of ${customer}`
  if (invoice.currency !== run.currency) return `currency ${invoice.currency} instead of ${run.currency}`
  if (invoice.metadata?.lines_hash !== run.linesHash) return 'the invoice carries another lines_hash'
  const shown = (amount: bigint) => displayMinor(amount, run.currency)
  const expected = new Map(
    lines.filter((line) => line.amountCents > 0n).map((line) => [line.lineKey, line.amountCents]),
  )
  for (const { lineKey, amount } of linesOnStripe(onInvoice)) {
    const frozen = lineKey === null ? undefined : expected.get(lineKey)
    if (frozen === undefined) return `a line that was not frozen, or twice the same: ${lineKey ?? 'no key'}`
    if (frozen !== amount) return `line ${lineKey}: ${shown(amount)} instead of ${shown(frozen)}`
    expected.delete(lineKey as string)
  }
  if (expected.size) return `missing line ${[...expected.keys()][0]}`
  const billed = billedOf(invoice)
  return billed === run.totalCents ? null : `subtotal ${shown(billed)} instead of ${shown(run.totalCents)}`
}
