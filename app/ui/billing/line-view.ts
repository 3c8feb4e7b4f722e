import type { Entry, ExplainedLine } from '#app/domain/billing/explain-line.server.ts'
import { displayExact, displayMinor } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, monthName } from '#app/platform/calendar-month.ts'
import { providerName } from '#app/ui/analytics/analytics-view.ts'
import { count } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'

export interface LineView {
  back: string
  invoiceTitle: string
  title: string
  facts: [label: string, value: string][]
  /** `null`: nothing single is behind the line. */
  table: {
    caption: string
    columns: { label: string; numeric?: boolean }[]
    rows: { key: string; to: string | null; cells: string[] }[]
  } | null
  next: { to: string; label: string } | null
}

type Table = NonNullable<LineView['table']>
type Money = (amount: string | null) => string

const callColumns = ['Time', 'Provider', 'Model', 'Tokens', 'Tier price', 'Provider cost', 'Charge']
const usageColumns = ['Time', 'Meter', 'Quantity', 'Unit price', 'Amount', 'From credits', 'Charge']
const correctionColumns = ['Call of', 'Why', 'Charged before', 'Difference']

const why: Record<string, string> = { re_rate: 'Other prices', cost_corrected: 'The provider corrected its cost' }

const cellsOf: Record<Entry['kind'], (entry: Entry, money: Money) => string[]> = {
  call: (entry, money) => [
    utcMinute(entry.at),
    providerName(entry.provider ?? ''),
    entry.what,
    `${count(entry.inputTokens)} in, ${count(entry.outputTokens)} out`,
    money(entry.tierPricePico),
    entry.rawCostPico === null ? 'unknown' : money(entry.rawCostPico),
    entry.chargeMode === 'credits' ? `${money(entry.creditPico)} from credits` : money(entry.chargePico),
  ],
  usage: (entry, money) => [
    utcMinute(entry.at),
    entry.what,
    (entry.quantity ?? '').replace(/\.?0+$/, ''),
    (entry.unitUsd ?? '').replace(/\.?0+$/, ''),
    money(entry.beforePico),
    money(entry.creditPico),
    money(entry.chargePico),
  ],
  correction: (entry, money) => [
    utcMinute(entry.at),
    why[entry.what] ?? entry.what,
    money(entry.beforePico),
    money(entry.chargePico),
  ],
}

const columnsOf = { call: callColumns, usage: usageColumns, correction: correctionColumns }
const captions = { call: 'Calls of this line', usage: 'Usage of this line', correction: 'Corrected calls' }

/** The tail of a long invoice goes through its kinds page by page: which one is to come is said. */
const nextWords: Record<string, string> = { usage: 'Next: usage', correction: 'Next: corrected calls' }

function tableOf(root: string, entries: Entry[], money: Money): Table | null {
  const kind = entries[0]?.kind
  if (!kind) return null
  const words = kind === 'call' ? 3 : 2
  return {
    caption: captions[kind],
    columns: columnsOf[kind].map((label, at) => ({ label, numeric: at >= words })),
    rows: entries.map((entry) => ({
      key: entry.cursor,
      to: kind === 'usage' ? null : `${root}/calls/${entry.id}`,
      cells: cellsOf[kind](entry, money),
    })),
  }
}

const seconds = (ms: string): string => `${(Number(ms) / 1000).toLocaleString('en-US', { maximumFractionDigits: 3 })} s`

/** A key fee's arithmetic, step by step. */
function feeFacts({ line }: ExplainedLine, money: Money): LineView['facts'] {
  const { detail } = line
  const text = (name: string) => String(detail[name] ?? '')
  const periods = Array.isArray(detail.periods) ? detail.periods : []
  return [
    ['Fee per month', money(text('feePico'))],
    ['Charged', text('proration') === 'seconds' ? 'for the seconds that a key was enabled' : 'in full, once a month'],
    ['A key was enabled', seconds(text('activeMs'))],
    ['The month has', seconds(text('monthMs'))],
    ...periods.map((one): [string, string] => [
      'Enabled',
      `${utcMinute(String(one.from))} to ${utcMinute(String(one.to))}`,
    ]),
    [
      'Exactly',
      `${money(text('feePico'))} × ${seconds(text('activeMs'))} / ${seconds(text('monthMs'))} = ${money(line.exactPico)}`,
    ],
  ]
}

function factsOf(explained: ExplainedLine, money: Money): LineView['facts'] {
  const { line, invoice } = explained
  const amount: [string, string] = ['On the invoice', displayMinor(BigInt(line.amountCents), invoice.currency)]
  if (line.kind === 'key_fee' && line.detail.proration === 'seconds') return [...feeFacts(explained, money), amount]
  if (line.kind === 'key_fee')
    return [...feeFacts(explained, money).slice(0, -1), ['Exactly', money(line.exactPico)], amount]
  return [
    ...(line.calls === '0' ? [] : [['Calls', count(line.calls)] as [string, string]]),
    ...(line.priceBookVersion === null ? [] : [['Price book', `version ${line.priceBookVersion}`] as [string, string]]),
    ...(line.markupBp ? [['Share', `${line.markupBp / 100}% of ${money(line.basisPico)}`] as [string, string]] : []),
    ...(line.creditPico === '0' ? [] : [['Drawn from credits', money(line.creditPico)] as [string, string]]),
    ...(typeof line.detail.reducedPico === 'string'
      ? [['Less a credit of', money(line.detail.reducedPico)] as [string, string]]
      : []),
    ['Exactly', money(line.exactPico)],
    amount,
  ]
}

export function toLineView(root: string, explained: ExplainedLine): LineView {
  const { invoice, line, entries, next } = explained
  const money: Money = (amount) => (amount === null ? '–' : displayExact(BigInt(amount), invoice.currency))
  const pages = `${root}/settings/billing/invoices/${invoice.runId}`
  return {
    back: pages,
    invoiceTitle: `Invoice for ${monthName(invoice.month as CalendarMonth)}`,
    title: line.description,
    facts: factsOf(explained, money),
    table: tableOf(root, entries, money),
    next: next ? { to: `?${new URLSearchParams({ after: next })}`, label: nextWords[next] ?? 'Next page' } : null,
  }
}
