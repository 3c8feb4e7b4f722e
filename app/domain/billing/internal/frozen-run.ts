/** A frozen run as its tables hold it: rows in, rows out. */
import { v5 } from 'uuid'
import type { InvoiceLine as LineRow } from '#app/generated/prisma/client.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { parseDecimal } from '#app/platform/pico.ts'
import type { ComputedInvoice, InvoiceLine, LineDetail, LineKind, RunState } from '../billing.ts'

/**
 * The id of a run follows from what it bills, so a database that was restored to before the close freezes the same run
 * again, and finds its invoice in Stripe instead of making a second one (stripe §4 case 80).
 */
export const runIdOf = (
  workspaceId: string,
  month: CalendarMonth,
  revision: number,
  kind: 'ai_usage' | 'correction' = 'ai_usage',
): string => v5(`${kind}/${month}/${revision}`, workspaceId)

export const stateOf = (outcome: ComputedInvoice['outcome']): RunState => (outcome === 'bill' ? 'frozen' : outcome)

export const toLine = (row: LineRow): InvoiceLine => ({
  lineKey: row.lineKey,
  position: row.position,
  chargeMode: row.chargeMode,
  tier: row.tier,
  keySource: row.keySource,
  usageMonth: row.usageMonth as CalendarMonth,
  priceBookVersion: row.priceBookVersion,
  description: row.description,
  calls: row.calls,
  inputTokens: row.inputTokens,
  outputTokens: row.outputTokens,
  tierPricePico: BigInt(row.tierPricePico.toFixed(0)),
  rawCostPico: BigInt(row.rawCostPico.toFixed(0)),
  exactPico: BigInt(row.exactPico.toFixed(0)),
  amountCents: row.amountCents,
  kind: row.kind as LineKind,
  markupBp: row.markupBp,
  basisPico: BigInt(row.basisPico.toFixed(0)),
  creditPico: BigInt(row.creditPico.toFixed(0)),
  quantityNano: row.quantity === null ? null : (parseDecimal(row.quantity.toFixed(9), 9) ?? 0n),
  detail: row.detail as LineDetail,
})

/** 1e-9 units as PostgreSQL's numeric takes them. */
const quantityText = (nano: bigint): string => {
  const text = nano.toString().padStart(10, '0')
  return `${text.slice(0, -9)}.${text.slice(-9)}`
}

export const toLineRow = (workspaceId: string, runId: string, { quantityNano, ...line }: InvoiceLine) => ({
  ...line,
  quantity: quantityNano === null ? null : quantityText(quantityNano),
  basisPico: line.basisPico.toString(),
  creditPico: line.creditPico.toString(),
  workspaceId,
  runId,
  tierPricePico: line.tierPricePico.toString(),
  rawCostPico: line.rawCostPico.toString(),
  exactPico: line.exactPico.toString(),
})

type OperationName = 'create_invoice' | 'create_item' | 'finalize_invoice'

/** What Stripe will be asked, in order. A line of nothing is on our statement and not on Stripe's invoice. */
export function plannedOperations(workspaceId: string, runId: string, lines: InvoiceLine[]) {
  const billed = lines.filter((line) => line.amountCents > 0n)
  const steps: { operation: OperationName; lineKey: string | null }[] = [
    { operation: 'create_invoice', lineKey: null },
    ...billed.map((line) => ({ operation: 'create_item' as const, lineKey: line.lineKey })),
    { operation: 'finalize_invoice', lineKey: null },
  ]
  return steps.map((step, index) => ({ ...step, workspaceId, runId, seq: index + 1, state: 'planned' }))
}
