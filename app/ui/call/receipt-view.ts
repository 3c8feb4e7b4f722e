import type { CallDetail } from '#app/domain/analytics/analytics.ts'
import type { CallAdjustment } from '#app/domain/analytics/call-adjustment.ts'
import type { Catalogue } from '#app/domain/pricing/queries.server.ts'
import type { PriceRow } from '#app/domain/pricing/raw-prices.ts'
import { monthName } from '#app/platform/calendar-month.ts'
import { parseAtto } from '#app/platform/pico.ts'
import { latency, providerName, statusName } from '#app/ui/analytics/analytics-view.ts'
import { modeNames } from '#app/ui/charge-words.ts'
import { count, exactMoney } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'
import { costSources, perMillion, reasonOf, type SumLine, sumOf, verdictOf } from './receipt-sum.ts'

export interface ReceiptView {
  title: string
  at: string
  back: string
  /** What the sum is called. */
  heading: string
  /** The sum as an accountant would write it, line by line. */
  sum: SumLine[]
  verdict: string
  held: boolean
  /** What was put right since, one entry after the other; the sum above stays as it was. */
  corrections: { key: string; at: string; why: string; before: string; after: string; difference: string; on: string }[]
  /** The other half of a call that fell back to the platform key. */
  link: { to: string; text: string } | null
  call: [label: string, value: string][]
  money: [label: string, value: string][]
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

function keyFact(call: CallDetail): [string, string][] {
  if (call.keySource === 'platform') return [['Key', 'Platform key']]
  const version = call.keyVersion === null ? '' : `, version ${call.keyVersion}`
  return [['Key', `Your key${call.keyHint ? ` ${call.keyHint}` : ''}${version}`]]
}

const besideNames: Record<string, string> = {
  audio_in: 'tokens of audio input',
  audio_out: 'tokens of audio output',
  image_in: 'tokens of image input',
  image_out: 'tokens of image output',
  search: 'web searches',
}

const plainDecimal = (usd: string): string => usd.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '')

/** The prices that made the cost: enough to work it out by hand. */
function priceFacts({ priceRow }: CallDetail): [string, string][] {
  if (!priceRow) return []
  const { source, asOf, model, usd, apart = {} } = priceRow
  const each: [string, string | undefined][] = [
    ['input', usd.input],
    ['output', usd.output],
    ['cache read', usd.cacheRead],
    ['cache write', usd.cacheWrite],
    ['audio input', apart.audio_in ? usd.audioInput : undefined],
    ['audio output', apart.audio_out ? usd.audioOutput : undefined],
    ['image input', apart.image_in ? usd.imageInput : undefined],
    ['image output', apart.image_out ? usd.imageOutput : undefined],
  ]
  const beside = Object.entries(apart).map(([unit, units]) => `${count(String(units))} ${besideNames[unit] ?? unit}`)
  const prices = each.flatMap(([what, text]) => (text === undefined ? [] : [`${perMillion(parseAtto(text))} ${what}`]))
  const perSearch = apart.search && usd.search !== undefined ? `; $${plainDecimal(usd.search)} per web search` : ''
  const perCall = `${perSearch}${usd.request === undefined ? '' : `; and $${usd.request} per call`}`
  const when = /^\d{4}-\d\d-\d\dT/.test(asOf) ? utcMinute(asOf) : asOf
  return [
    ['Prices used', `${prices.join(', ')}, per million tokens${perCall}`],
    ...(beside.length ? ([['Of it beside text', beside.join(', ')]] as [string, string][]) : []),
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

/** Why, with the figure that changed. */
function whyCorrected({ reason, priceBookVersion, rawCostPico }: CallAdjustment): string {
  if (reason === 're_rate') return `Other prices: price book, version ${priceBookVersion}`
  return rawCostPico === null ? 'The provider corrected its cost' : `Cost corrected to ${exactMoney(rawCostPico)}`
}

function toCorrection(one: CallAdjustment, index: number, currency: string): ReceiptView['corrections'][number] {
  const difference = one.chargeAfterPico - one.chargeBeforePico
  return {
    key: String(index),
    at: utcMinute(one.at.toISOString()),
    why: whyCorrected(one),
    before: exactMoney(one.chargeBeforePico, currency),
    after: exactMoney(one.chargeAfterPico, currency),
    difference: `${difference < 0n ? '' : '+'}${exactMoney(difference, currency)}`,
    on: difference === 0n ? 'no invoice: the charge stays' : `${monthName(one.billingMonth)} invoice`,
  }
}

/** A refused call has used none, which is known: no number was reported because there is none. */
const tokensOf = (call: CallDetail, tokens: bigint | null): string =>
  tokens === null && call.usageSource === 'none' ? 'none' : count(tokens)

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
    heading: call.chargeMode === 'tier_margin' ? 'Margin receipt' : 'Receipt',
    sum: sumOf(call),
    verdict: verdictOf(call),
    held: call.chargePico === null,
    corrections: call.adjustments.map((one, index) => toCorrection(one, index, call.currency)),
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
      ['Charged as', modeNames[call.chargeMode]],
      ['Because', reasonOf(call)],
      ['Input tokens', tokensOf(call, call.inputTokens)],
      ...classes.flatMap(([label, value]) => optional(label, value === null ? null : count(value))),
      ['Output tokens', tokensOf(call, call.outputTokens)],
      ...optional('of which reasoning', call.reasoningTokens === null ? null : count(call.reasoningTokens)),
      ['Token counts', usageSources[call.usageSource] ?? call.usageSource],
      [
        'Raw cost',
        `${raw}, ${costSources[call.costSource] ?? call.costSource}${call.costClamped ? '; it was outside what is plausible and was limited to 5 × list price' : ''}`,
      ],
      ...priceFacts(call),
      ['Price book', `version ${call.priceBookVersion}, in force when the call was sent`],
      ['Billing month', monthName(call.billingMonth)],
    ],
  }
}
