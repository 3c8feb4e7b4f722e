import type { CallDetail } from '#app/domain/analytics/analytics.ts'
import type { Catalogue } from '#app/domain/pricing/queries.server.ts'
import type { PriceRow } from '#app/domain/pricing/raw-prices.ts'
import { monthName } from '#app/platform/calendar-month.ts'
import { type Atto, parseAtto } from '#app/platform/pico.ts'
import { latency, providerName, statusName, tierName } from '#app/ui/analytics/analytics-view.ts'
import { count, exactMoney } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'

export interface ReceiptView {
  title: string
  at: string
  back: string
  /** The sum as an accountant would write it, line by line. */
  sum: { label: string; detail: string; amount: string; strong?: boolean }[]
  verdict: string
  held: boolean
  /** The other half of a call that fell back to the platform key. */
  link: { to: string; text: string } | null
  call: [label: string, value: string][]
  money: [label: string, value: string][]
}

const costSources: Record<string, string> = {
  provider: 'reported by the provider with its reply',
  generation: "looked up in the provider's own record of this call",
  list_price: "worked out from the provider's list price",
  imported: 'given by the imported file',
  none: 'nothing was used, so nothing was charged',
  unknown: 'not known yet',
}

const usageSources: Record<string, string> = {
  provider: 'reported by the provider with its reply',
  generation: "looked up in the provider's own record of this call",
  estimated: 'estimated: the provider did not say',
  imported: 'given by the imported file',
  none: 'none used',
}

const origins: Record<string, string> = {
  gateway: 'Gateway, settled when the call ended',
  sweeper: 'Settled afterwards, because the process that served it stopped',
  import: 'Imported from a file',
}

const endpoints: Record<string, string> = {
  chat: 'chat completions',
  responses: 'responses',
  embeddings: 'embeddings',
  rerank: 'rerank',
}

const priceSources: Record<PriceRow['source'], string> = {
  override: "the operator's own price",
  provider_catalogue: "the provider's published list",
  genai_prices: 'public price tables',
}

/** Atto-dollars per token as USD per million tokens: the unit price lists use. Exact. */
const perMillion = (atto: Atto): string => exactMoney(atto)

function tierLines(call: CallDetail): ReceiptView['sum'] {
  const total = {
    label: `Tier price, ${tierName(call.tier)}`,
    amount: call.tierPricePico === null ? 'unknown' : exactMoney(call.tierPricePico),
  }
  if (!call.price) return [{ ...total, detail: `price book ${call.priceBookVersion}` }]
  const line = (what: string, tokens: bigint | null, atto: Atto) => ({
    label: what,
    detail: `${count(tokens ?? 0n)} × ${perMillion(atto)} per million`,
    // exact product in atto-dollars, cut to display: the sum below was rounded once, from the exact products
    amount: exactMoney(((tokens ?? 0n) * atto) / 1_000_000n),
  })
  return [
    line('Input tokens', call.inputTokens, call.price.inputAtto),
    line('Output tokens', call.outputTokens, call.price.outputAtto),
    { ...total, detail: 'price of these tokens, whatever the model', strong: true },
  ]
}

/** On a plan that passes costs through, nothing is priced here: the provider's bill is all there is. */
const passedThrough = (call: CallDetail): ReceiptView['sum'] => [
  {
    label: 'Your provider charged you',
    detail: costSources[call.costSource] ?? call.costSource,
    amount: call.rawCostPico === null ? 'unknown' : exactMoney(call.rawCostPico),
  },
  {
    label: 'Charged',
    detail: 'this plan bills nothing for calls on your own keys',
    amount: call.chargePico === null ? 'held' : exactMoney(call.chargePico),
    strong: true,
  },
]

function sumOf(call: CallDetail): ReceiptView['sum'] {
  if (call.chargeMode === 'pass_through') return passedThrough(call)
  const lines = tierLines(call)
  const charge = call.chargePico === null ? 'held' : exactMoney(call.chargePico)
  if (call.chargeMode === 'tier')
    return [...lines, { label: 'Charged', detail: 'the platform key paid the provider', amount: charge, strong: true }]
  const raw = call.rawCostPico === null ? 'unknown' : `−${exactMoney(call.rawCostPico)}`
  const floored = call.chargePico === 0n && (call.rawCostPico ?? 0n) > (call.tierPricePico ?? 0n)
  return [
    ...lines,
    {
      label: 'Less what your provider charged you',
      detail: costSources[call.costSource] ?? call.costSource,
      amount: raw,
    },
    {
      label: 'Margin charged',
      detail: floored ? 'floored at $0: the cost was above the tier price' : 'tier price less cost',
      amount: charge,
      strong: true,
    },
  ]
}

function verdictOf(call: CallDetail): string {
  if (call.chargeMode === 'pass_through')
    return `This call ran on your key. ${providerName(call.provider)} bills you for it, and we bill nothing.${call.rawCostPico === null ? ' What it cost there is not known here.' : ''}`
  if (call.chargePico === null)
    return 'This call is held: what the provider charged you for it is not known yet, and unknown is not zero. It is billed once the cost is known; if it is still unknown when the month closes, it is billed $0.'
  if (call.correctionReason === 'cost_cutoff')
    return 'The cost of this call was still unknown when its month closed, so it was billed $0.'
  const late = call.correctionReason === 'cost_resolved' ? ' Its cost became known later and was put in then.' : ''
  if (call.chargeMode === 'tier')
    return 'This call ran on the platform key. You pay the tier price; it covers the model and our surcharge.'
  if (call.rawCostPico !== null && call.tierPricePico !== null && call.rawCostPico > call.tierPricePico)
    return `This call ran on your key and cost more than the tier price. We charge nothing for it, and it does not reduce the margin of other calls.${late}`
  return `This call ran on your key. Your provider bills you for the model; we charge only the margin.${late}`
}

function keyFact(call: CallDetail): [string, string][] {
  if (call.keySource === 'platform') return [['Key', 'Platform key']]
  const version = call.keyVersion === null ? '' : `, version ${call.keyVersion}`
  return [['Key', `Your key${call.keyHint ? ` ${call.keyHint}` : ''}${version}`]]
}

/** The prices that made the cost: enough to work it out by hand. */
function priceFacts({ priceRow }: CallDetail): [string, string][] {
  if (!priceRow) return []
  const { source, asOf, model, usd } = priceRow
  const each: [string, string | undefined][] = [
    ['input', usd.input],
    ['output', usd.output],
    ['cache read', usd.cacheRead],
    ['cache write', usd.cacheWrite],
  ]
  const prices = each.flatMap(([what, text]) => (text === undefined ? [] : [`${perMillion(parseAtto(text))} ${what}`]))
  const perCall = usd.request === undefined ? '' : `; and $${usd.request} per call`
  const when = /^\d{4}-\d\d-\d\dT/.test(asOf) ? utcMinute(asOf) : asOf
  return [
    ['Prices used', `${prices.join(', ')}, per million tokens${perCall}`],
    ['Prices from', `${priceSources[source] ?? source}, as of ${when}, for ${model}`],
  ]
}

function linkOf(root: string, { fallbackOf, standIn }: CallDetail): ReceiptView['link'] {
  if (fallbackOf)
    return {
      to: `${root}/calls/${fallbackOf}`,
      text: `This call stands in for call ${fallbackOf}, which your provider refused. You allowed that for its surface.`,
    }
  return standIn
    ? { to: `${root}/calls/${standIn}`, text: `Call ${standIn} stood in for this one, under the platform key.` }
    : null
}

/** Everything that is known of a call, in words; amounts exact to the last digit. */
export function toReceiptView(root: string, call: CallDetail, { models, surfaces }: Catalogue): ReceiptView {
  const optional = (label: string, value: string | null): [string, string][] => (value === null ? [] : [[label, value]])
  const classes: [string, bigint | null][] = [
    ['of which read from cache', call.cacheReadTokens],
    ['of which written to cache', call.cacheWriteTokens],
  ]
  const raw = call.rawCostPico === null ? 'unknown' : exactMoney(call.rawCostPico)
  return {
    title: `${models.get(call.model)?.name ?? call.model} for ${surfaces.get(call.surface)?.name ?? call.surface}`,
    at: utcMinute(call.dispatchedAt.toISOString()),
    back: `${root}/analytics`,
    sum: sumOf(call),
    verdict: verdictOf(call),
    held: call.chargePico === null,
    link: linkOf(root, call),
    call: [
      ['Call id', call.id],
      ['Status', `${statusName(call.status)}${call.httpStatus === null ? '' : ` (HTTP ${call.httpStatus})`}`],
      ...optional('Error', call.errorCode),
      ['Provider', providerName(call.provider)],
      ['Endpoint', endpoints[call.endpoint] ?? call.endpoint],
      ['Model', call.model],
      ...optional('Model at the provider', call.upstreamModel === call.model ? null : call.upstreamModel),
      ...optional('Model that answered', call.responseModel === call.model ? null : call.responseModel),
      ['Surface', surfaces.get(call.surface)?.name ?? call.surface],
      ...optional('Gateway token', call.tokenName),
      ['Streamed', call.streamed ? 'yes' : 'no'],
      [
        'Latency',
        call.firstByteMs === null
          ? latency(call.latencyMs)
          : `${latency(call.latencyMs)}, first byte after ${latency(call.firstByteMs)}`,
      ],
      ['Recorded', `${origins[call.origin] ?? call.origin}, ${utcMinute(call.recordedAt.toISOString())}`],
      ...optional('Id at the provider', call.upstreamId),
    ],
    money: [
      ...keyFact(call),
      ['Input tokens', call.inputTokens === null ? 'unknown' : count(call.inputTokens)],
      ...classes.flatMap(([label, value]) => optional(label, value === null ? null : count(value))),
      ['Output tokens', call.outputTokens === null ? 'unknown' : count(call.outputTokens)],
      ...optional('of which reasoning', call.reasoningTokens === null ? null : count(call.reasoningTokens)),
      ['Token counts', usageSources[call.usageSource] ?? call.usageSource],
      [
        'Raw cost',
        `${raw}, ${costSources[call.costSource] ?? call.costSource}${call.costClamped ? '; it was outside what is plausible and was limited to 5 × list price' : ''}`,
      ],
      ...priceFacts(call),
      ['Price book', `version ${call.priceBookVersion}, in force when the call was sent`],
      ['On the invoice of', monthName(call.billingMonth)],
    ],
  }
}
