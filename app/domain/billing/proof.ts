/** What a verification says: whether an invoice is what its calls come to, and if not, what differs. Pure. */
import { displayExact, displayMinor } from '#app/domain/pricing/currency.ts'

export interface Finding {
  /** `call` one call · `calls` several of a day · `rollup` a daily sum · `line`, `total`, `hash` of the frozen run · `stripe` */
  what: 'call' | 'calls' | 'usage' | 'rollup' | 'line' | 'total' | 'hash' | 'stripe'
  /** The call's id, the line's key, the day. */
  reference: string
  column: string
  /** Empty where it cannot be known: no copy of a call is kept. */
  expected: string
  actual: string
}

export interface InvoiceProof {
  equal: boolean
  frozenHash: string
  recountedHash: string
  /** Over every call, event and correction behind the invoice; null where the run was never sealed. */
  frozenCallsHash: string | null
  recountedCallsHash: string
  recountedCalls: string
  recountedExactPico: string
  currency: string
  /** Whether every call was rated again by its own price book, or only counted. */
  ratedAgain: boolean
  /** Whether Stripe's lines were compared: `unreachable` is no difference, and no proof. */
  stripe: 'equal' | 'different' | 'none' | 'unreachable'
  /** At most 50. */
  findings: Finding[]
}

export const MOST_FINDINGS = 50

/** Columns that hold money: those in 1e-12 of a main unit, and those in minor units. What providers charge is in USD. */
const exactColumn = /pico$/i
const minorColumn = /cents$/i
const dollarColumn = /^raw_?cost|^cost_corrected/i

/** A value as a person reads it: money with its currency, everything else as it stands. */
function readable(column: string, value: string, currency: string): string {
  if (!/^-?\d+$/.test(value)) return value || 'nothing'
  if (exactColumn.test(column)) return displayExact(BigInt(value), dollarColumn.test(column) ? 'usd' : currency)
  return minorColumn.test(column) || column === 'sum of lines' ? displayMinor(BigInt(value), currency) : value
}

/** In one sentence: which call, line or sum differs, in which column. @param currency what the workspace is billed in */
export function describeFinding({ what, reference, column, expected, actual }: Finding, currency: string): string {
  const shown =
    expected === '' ? '' : `: ${readable(column, actual, currency)} instead of ${readable(column, expected, currency)}`
  const subjects: Record<Finding['what'], string> = {
    call: `Call ${reference} differs in ${column}`,
    calls: `Several calls of ${reference} differ in ${column}`,
    usage: `Usage of ${reference} differs in ${column}`,
    rollup: `The daily sum of ${reference} differs in ${column}`,
    line: `Line ${reference} differs in ${column}`,
    total: `The run differs in ${column}`,
    hash: `${reference}: the hash differs`,
    stripe: `Stripe’s invoice differs in ${column}`,
  }
  return `${subjects[what]}${shown}`
}
