import type { InvoiceLine } from '../billing.ts'

export interface FrozenSide {
  lines: InvoiceLine[]
  totalCents: bigint
  linesHash: string
  currency: string
  customer: string
}

export interface StripeSide {
  lines: { lineKey: string | null; amount: number }[]
  /** Without tax, in cents. */
  subtotal: number
  linesHash: string | null
  currency: string
  customer: string
}

/** @returns the first difference between what was frozen and what Stripe holds, in words for an operator; null where equal */
export function compareWithFrozen(frozen: FrozenSide, stripe: StripeSide): string | null {
  if (stripe.customer !== frozen.customer) return `customer ${stripe.customer} instead of ${frozen.customer}`
  if (stripe.currency !== frozen.currency) return `currency ${stripe.currency} instead of ${frozen.currency}`
  if (stripe.linesHash !== frozen.linesHash) return 'the invoice carries another lines_hash'
  const expected = new Map(
    frozen.lines.filter((line) => line.amountCents > 0n).map((line) => [line.lineKey, line.amountCents]),
  )
  for (const line of stripe.lines) {
    const amount = line.lineKey === null ? undefined : expected.get(line.lineKey)
    if (amount === undefined) return `a line that was not frozen, or twice the same: ${line.lineKey ?? 'no key'}`
    if (amount !== BigInt(line.amount)) return `line ${line.lineKey}: ${line.amount} instead of ${amount}`
    expected.delete(line.lineKey as string)
  }
  if (expected.size) return `missing line ${[...expected.keys()][0]}`
  return BigInt(stripe.subtotal) === frozen.totalCents
    ? null
    : `subtotal ${stripe.subtotal} instead of ${frozen.totalCents}`
}
