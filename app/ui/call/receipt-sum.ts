import type { CallDetail } from '#app/domain/analytics/analytics.ts'
import { ratesFor } from '#app/domain/pricing/pricing.ts'
import type { Atto } from '#app/platform/pico.ts'
import { providerName, tierName } from '#app/ui/analytics/analytics-view.ts'
import { percentOfBp } from '#app/ui/charge-words.ts'
import { count, exactMoney } from '#app/ui/money.ts'

/** One line of the sum, as an accountant would write it. */
export interface SumLine {
  label: string
  detail: string
  amount: string
  strong?: boolean
}

export const costSources: Record<string, string> = {
  provider: 'reported by the provider with its reply',
  generation: "looked up in the provider's own record of this call",
  list_price: "worked out from the provider's list price",
  imported: 'given by the imported file',
  none: 'nothing was used, so nothing was charged',
  unknown: 'not known yet',
}

/** 1e-18 per token as the price per million tokens: the unit price lists use. Exact. */
export const perMillion = (atto: Atto, currency = 'usd'): string => exactMoney(atto, currency)

const amountOf = (pico: bigint | null, currency = 'usd', missing = 'unknown'): string =>
  pico === null ? missing : exactMoney(pico, currency)
const sourceOf = ({ costSource }: CallDetail): string => costSources[costSource] ?? costSource

/** Tokens by the classes that have a price of their own; counts of cache that exceed the input are priced as plain input. */
function tokenLines(call: CallDetail): SumLine[] {
  if (!call.price) return []
  const input = call.inputTokens ?? 0n
  const rates = ratesFor(call.price, input)
  const [read, write] = [call.cacheReadTokens ?? 0n, call.cacheWriteTokens ?? 0n]
  const apart = read + write <= input
  const readApart = apart && rates.cacheReadAtto !== undefined ? read : 0n
  const writeApart = apart && rates.cacheWriteAtto !== undefined ? write : 0n
  const line = (label: string, tokens: bigint, atto: Atto): SumLine => ({
    label,
    detail: `${count(tokens)} × ${perMillion(atto, call.currency)} per million`,
    // exact product in atto-dollars, cut to display: the sum below was rounded once, from the exact products
    amount: exactMoney((tokens * atto) / 1_000_000n, call.currency),
  })
  return [
    line('Input tokens', input - readApart - writeApart, rates.inputAtto),
    ...(readApart > 0n && rates.cacheReadAtto !== undefined
      ? [line('Read from cache', readApart, rates.cacheReadAtto)]
      : []),
    ...(writeApart > 0n && rates.cacheWriteAtto !== undefined
      ? [line('Written to cache', writeApart, rates.cacheWriteAtto)]
      : []),
    line('Output tokens', call.outputTokens ?? 0n, rates.outputAtto),
  ]
}

function tierLines(call: CallDetail): SumLine[] {
  const total = { label: `Tier price, ${tierName(call.tier)}`, amount: amountOf(call.tierPricePico, call.currency) }
  if (!call.price) return [{ ...total, detail: `price book ${call.priceBookVersion}` }]
  return [...tokenLines(call), { ...total, detail: 'price of these tokens, whatever the model', strong: true }]
}

const charged = (call: CallDetail, detail: string, label = 'Charged'): SumLine => ({
  ...{ label, detail, strong: true },
  amount: amountOf(call.chargePico, call.currency, 'held'),
})

const providerCharged = (call: CallDetail): SumLine => ({
  ...{ label: 'Your provider charged you', detail: sourceOf(call) },
  amount: amountOf(call.rawCostPico),
})

function marginLines(call: CallDetail): SumLine[] {
  const raw = call.rawCostPico === null ? 'unknown' : `−${exactMoney(call.rawCostPico)}`
  const floored = call.chargePico === 0n && (call.rawCostPico ?? 0n) > (call.tierPricePico ?? 0n)
  return [
    ...tierLines(call),
    { label: 'Less what your provider charged you', detail: sourceOf(call), amount: raw },
    charged(
      call,
      floored ? 'floored at $0: the cost was above the tier price' : 'tier price less cost',
      'Margin charged',
    ),
  ]
}

const basisWords: Record<string, string> = {
  raw_cost: 'what the provider charged',
  lowest_paid_rate: 'the model was free: the lowest rate that anybody pays for it, for the same tokens',
  none: 'the model is free everywhere, so there is nothing to take a share of',
}

function markupLines(call: CallDetail): SumLine[] {
  const own = call.keySource === 'workspace'
  const cost = { ...providerCharged(call), ...(own ? {} : { label: 'The provider charged' }) }
  const basis =
    call.basisSource === null || call.basisSource === 'raw_cost'
      ? []
      : [
          {
            label: 'Share taken of',
            detail: basisWords[call.basisSource] ?? call.basisSource,
            amount: amountOf(call.basisPico),
          },
        ]
  const share = call.markupBp === 10_000 ? 'at cost' : `${percentOfBp(call.markupBp ?? 0)} of it, rounded once`
  return [cost, ...basis, charged(call, share)]
}

const creditLines = (call: CallDetail): SumLine[] => [
  ...tierLines(call),
  {
    label: 'Drawn from credits',
    detail: 'nothing of it is on the invoice',
    amount: exactMoney(call.creditPico),
    strong: true,
  },
]

/** The sum of a call, line by line, by its charge mode. */
export function sumOf(call: CallDetail): SumLine[] {
  switch (call.chargeMode) {
    case 'pass_through':
      return [providerCharged(call), charged(call, 'this plan bills nothing for calls on your own keys')]
    case 'flat_fee':
      return [
        providerCharged(call),
        charged(call, 'calls on your own keys draw no credits: a fee per month covers them'),
      ]
    case 'credits':
      return creditLines(call)
    case 'markup':
      return markupLines(call)
    case 'tier':
      return [...tierLines(call), charged(call, 'the platform key paid the provider')]
    default:
      return marginLines(call)
  }
}

const heldWords =
  'This call is held: what the provider charged you for it is not known yet, and unknown is not zero. It is billed once the cost is known; if it is still unknown when the month closes, it is billed $0.'

function externallyBilled(call: CallDetail): string {
  const unknown = call.rawCostPico === null ? ' What it cost there is not known here.' : ''
  const ours =
    call.chargeMode === 'flat_fee' ? 'it draws no credits here: the monthly fee covers it' : 'we bill nothing'
  return `This call ran on your key and is billed externally. ${providerName(call.provider)} bills you for it, and ${ours}.${unknown}`
}

function markupVerdict(call: CallDetail, late: string): string {
  const share =
    call.markupBp === 10_000
      ? 'what the provider charged'
      : `${percentOfBp(call.markupBp ?? 0)} of what the provider charged`
  const whose =
    call.keySource === 'workspace'
      ? 'your key: your provider bills you for the model, and you owe us'
      : 'the platform key: you owe us'
  const free =
    call.basisSource === 'lowest_paid_rate' ? ' The model was free, so the share is taken of its lowest paid rate.' : ''
  return `This call ran on ${whose} ${share}.${free}${late}`
}

/** What the sum means, in one or two sentences. */
export function verdictOf(call: CallDetail): string {
  const { chargeMode, chargePico, rawCostPico, tierPricePico } = call
  if (chargeMode === 'pass_through' || chargeMode === 'flat_fee') return externallyBilled(call)
  if (chargePico === null) return heldWords
  if (call.correctionReason === 'cost_cutoff')
    return 'The cost of this call was still unknown when its month closed, so it was billed $0.'
  const late = call.correctionReason === 'cost_resolved' ? ' Its cost became known later and was put in then.' : ''
  if (chargeMode === 'markup') return markupVerdict(call, late)
  if (chargeMode === 'credits')
    return 'This call ran on the platform key. Its tier price came out of your credits; nothing of it is on the invoice.'
  if (chargeMode === 'tier')
    return 'This call ran on the platform key. You pay the tier price; it covers the model and our surcharge.'
  if (rawCostPico !== null && tierPricePico !== null && rawCostPico > tierPricePico)
    return `This call ran on your key and cost more than the tier price. We charge nothing for it, and it does not reduce the margin of other calls.${late}`
  return `This call ran on your key. Your provider bills you for the model; we charge only the margin.${late}`
}

/** Why it was charged as it was: which key, which rule, which plan when it was sent. */
export function reasonOf(call: CallDetail): string {
  const plan = call.planName ? ` under the plan ${call.planName}` : ''
  if (call.keySource === 'workspace')
    return `an enabled ${providerName(call.provider)} key of yours served the model when the call was sent${plan}`
  if (call.fallbackOf)
    return `it stands in for a call that your provider refused, as you allowed for its surface${plan}`
  if (call.surfaceIsBackground) return `its surface is a background one, and those stay on the platform key${plan}`
  if (call.enabledKeysThen === 0) return `no key of yours was enabled when the call was sent${plan}`
  return `no enabled key of yours was usable for this model and surface when the call was sent${plan}`
}
