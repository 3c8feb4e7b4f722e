/** The lines of an invoice before they are rounded: one per bucket of calls, meter, fee and correction. Pure. */
import { displayExact, displayPrice } from '#app/domain/pricing/currency.ts'
import { isTier, tierNames } from '#app/domain/pricing/pricing.ts'
import { type CalendarMonth, monthName } from '#app/platform/calendar-month.ts'
import type { CorrectionBucket, InvoiceLine, LineKind, MeterBucket, UsageBucket } from './billing.ts'
import type { KeyFee } from './key-fee.ts'

export type DraftLine = Omit<InvoiceLine, 'position' | 'amountCents'>

export interface InvoicedUsage {
  month: CalendarMonth
  currency: string
  buckets: UsageBucket[]
  meters: MeterBucket[]
  fees: KeyFee[]
  corrections: CorrectionBucket[]
}

export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const zeros = {
  calls: 0n,
  inputTokens: 0n,
  outputTokens: 0n,
  tierPricePico: 0n,
  rawCostPico: 0n,
  exactPico: 0n,
  basisPico: 0n,
  creditPico: 0n,
}

/** A line of nothing, for what is no bucket of calls. */
export const emptyLine = (
  kind: LineKind,
  lineKey: string,
  usageMonth: CalendarMonth,
  description: string,
): DraftLine => ({
  ...zeros,
  kind,
  lineKey,
  chargeMode: kind,
  tier: 'none',
  keySource: 'none',
  usageMonth,
  priceBookVersion: null,
  description,
  markupBp: 0,
  quantityNano: null,
  detail: {},
})

export function addLine(line: DraftLine, more: DraftLine): void {
  for (const name of Object.keys(zeros) as (keyof typeof zeros)[]) line[name] += more[name]
  if (more.quantityNano !== null) line.quantityNano = (line.quantityNano ?? 0n) + more.quantityNano
}

/** `5%`, `0.25%`: basis points in words. */
export const percent = (basisPoints: number): string => `${basisPoints / 100}%`

/** A quantity of 1e-9 units, exactly: `1,234.5`. */
export function displayQuantity(nano: bigint): string {
  const text = nano.toString().padStart(10, '0')
  const fraction = text.slice(-9).replace(/0+$/, '')
  return `${BigInt(text.slice(0, -9)).toLocaleString('en-US')}${fraction ? `.${fraction}` : ''}`
}

const modelsOf = (tier: string): string => (isTier(tier) ? `${tierNames[tier]} models` : 'Models')

/** What a line of calls is for, without the month. Sums in it are of the whole line. */
function whatOf(line: DraftLine, currency: string): string {
  const models = modelsOf(line.tier)
  const whose = line.keySource === 'workspace' ? 'your own key' : 'the platform key'
  const sum = (amount: bigint) => displayExact(amount, currency)
  switch (line.chargeMode) {
    case 'tier_margin':
      return `${models} on your own key: tier price less provider cost, never below zero per call`
    case 'markup':
      return line.markupBp === 10_000
        ? `${models} on ${whose}: at cost`
        : `${models} on ${whose}: ${percent(line.markupBp)} of a cost of ${sum(line.basisPico)}`
    case 'credits':
      return `${models} on the platform key: ${sum(line.creditPico)} drawn from credits, nothing owed here`
    case 'flat_fee':
      return `${models} on your own key: covered by the monthly key fee`
    case 'pass_through':
      return 'Models on your own key: paid to the provider directly, nothing owed here'
    default:
      return `${models} on the platform key: tier price per token`
  }
}

const markupKey = (bucket: UsageBucket): string => (bucket.chargeMode === 'markup' ? `/bp${bucket.markupBp}` : '')
const lineKeyOf = (bucket: UsageBucket): string =>
  `${bucket.usageMonth}/${bucket.chargeMode}/${bucket.tier}/${bucket.keySource}${markupKey(bucket)}/v${bucket.priceBookVersion}`

function toDraft(bucket: UsageBucket): DraftLine {
  const { chargePico, ...rest } = bucket
  const empty = { kind: 'calls' as const, description: '', quantityNano: null, detail: {} }
  return { ...rest, ...empty, lineKey: lineKeyOf(bucket), exactPico: chargePico }
}

/** One line per line key: a margin never shares a line with a tier price, nor a month or price book with another. */
function callLines({ month, currency, buckets }: InvoicedUsage): DraftLine[] {
  const byKey = new Map<string, DraftLine>()
  for (const draft of buckets.map(toDraft)) {
    const line = byKey.get(draft.lineKey)
    if (line) addLine(line, draft)
    else byKey.set(draft.lineKey, draft)
  }
  const severalVersions = new Set(buckets.map((bucket) => bucket.priceBookVersion)).size > 1
  return [...byKey.values()].map((line) => {
    const late = line.usageMonth === month ? '' : ', late usage'
    const version = severalVersions ? ` (prices v${line.priceBookVersion})` : ''
    return { ...line, description: `${whatOf(line, currency)}, ${monthName(line.usageMonth)}${late}${version}` }
  })
}

function meterLine({ month, currency }: InvoicedUsage, bucket: MeterBucket): DraftLine {
  const { meter, name, unit, unitUsd, usageMonth, priceBookVersion } = bucket
  const key = `${usageMonth}/usage/${meter}/v${priceBookVersion}`
  const late = usageMonth === month ? '' : ', late usage'
  const price = `${displayPrice(unitUsd, currency)} per ${unit}`
  const credits = bucket.creditPico ? `, ${displayExact(bucket.creditPico, currency)} of it drawn from credits` : ''
  const description = `${name}: ${displayQuantity(bucket.quantityNano)} × ${price}${credits}, ${monthName(usageMonth)}${late}`
  return {
    ...emptyLine('usage', key, usageMonth, description),
    priceBookVersion,
    exactPico: bucket.chargePico,
    creditPico: bucket.creditPico,
    quantityNano: bucket.quantityNano,
    detail: { meter, name, unit, unitUsd, events: bucket.events.toString() },
  }
}

/** `2,678,400 s`, `0.5 s`. */
const seconds = (ms: bigint): string => `${displayQuantity(ms * 1_000_000n)} s`

function feeLine({ month, currency }: InvoicedUsage, fee: KeyFee): DraftLine {
  const full = displayExact(fee.feePico, currency)
  const how =
    fee.proration === 'seconds'
      ? `${full} × ${seconds(fee.activeMs)} of ${seconds(fee.monthMs)} with a key enabled`
      : `${full}, a key was enabled`
  const description = `Own-key fee, ${fee.planName} plan: ${how}, ${monthName(month)}`
  return {
    ...emptyLine('key_fee', `${month}/key_fee/${fee.planId}`, month, description),
    keySource: 'workspace',
    exactPico: fee.exactPico,
    detail: {
      planId: fee.planId,
      planName: fee.planName,
      feePico: fee.feePico.toString(),
      proration: fee.proration,
      activeMs: fee.activeMs.toString(),
      monthMs: fee.monthMs.toString(),
      periods: fee.periods.map(({ from, to }) => ({ from: from.toISOString(), to: to.toISOString() })),
    },
  }
}

const whyCorrected = { re_rate: 're-priced', cost_corrected: 'costs corrected by the provider' }

function correctionLine({ currency }: InvoicedUsage, bucket: CorrectionBucket): DraftLine {
  const { reason, usageMonth, priceBookVersion, beforePico, afterPico } = bucket
  const key = `${usageMonth}/correction/${reason}/v${priceBookVersion}`
  const sums = `${displayExact(beforePico, currency)} charged before, ${displayExact(afterPico, currency)} owed`
  const description = `Correction ${usageMonth}: ${whyCorrected[reason]} (prices v${priceBookVersion}), ${sums}`
  return {
    ...emptyLine('correction', key, usageMonth, description),
    priceBookVersion,
    calls: bucket.calls,
    exactPico: afterPico - beforePico,
    detail: { reason, beforePico: beforePico.toString(), afterPico: afterPico.toString() },
  }
}

const rankOf = (line: DraftLine, month: CalendarMonth): number =>
  line.kind === 'correction'
    ? 4
    : line.usageMonth !== month
      ? 3
      : { calls: 0, usage: 1, key_fee: 2 }[line.kind as 'calls']

/** All lines in order: the month's calls, its meters and fees, then late usage by month, then corrections. */
export function draftLines(usage: InvoicedUsage): DraftLine[] {
  const lines = [
    ...callLines(usage),
    ...usage.meters.map((bucket) => meterLine(usage, bucket)),
    ...usage.fees.map((fee) => feeLine(usage, fee)),
    ...usage.corrections.map((bucket) => correctionLine(usage, bucket)),
  ]
  return lines.sort((a, b) => rankOf(a, usage.month) - rankOf(b, usage.month) || compareText(a.lineKey, b.lineKey))
}
