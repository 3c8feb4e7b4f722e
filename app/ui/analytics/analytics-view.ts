import type { CallFilter, CallPage, CallRow, DayUsage, NamedSums, Usage } from '#app/domain/analytics/analytics.ts'
import type { ChargeMode } from '#app/domain/plans/plans.ts'
import { isTier, tierNames, tiers } from '#app/domain/pricing/pricing.ts'
import type { Catalogue } from '#app/domain/pricing/queries.server.ts'
import { isProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { isCalendarDay } from '#app/platform/calendar-day.ts'
import { monthName } from '#app/platform/calendar-month.ts'
import type { Pico } from '#app/platform/pico.ts'
import { cents, centsThatAddUp, count, counted, money } from '#app/ui/money.ts'
import type { Refusal } from '#app/ui/refusal.tsx'
import { utcDay, utcSecond } from '#app/ui/time.ts'

export interface Choice {
  value: string
  label: string
}

export interface Card {
  label: string
  value: string
  note: string
}

export interface DayBar {
  day: string
  /** Whole micro-dollars: for the height of a bar only, never for an amount on screen. */
  platformHeight: number
  marginHeight: number
  platform: string
  margin: string
  calls: string
}

export interface Share {
  name: string
  calls: string
  charge: string
}

export interface CallLine {
  id: string
  to: string
  at: string
  surface: string
  model: string
  /** Provider, and the tier where the call has one. */
  modelNote: string
  key: string
  input: string
  inputNote: string | null
  output: string
  outputNote: string | null
  rawCost: string
  tierPrice: string
  charge: string
  /** What the amount is, where it is not simply on the invoice. */
  chargeNote: string | null
  latency: string
  status: string
  trouble: 'none' | 'failed' | 'held'
}

export const filterFields = ['from', 'to', 'model', 'surface', 'tier', 'key', 'outcome'] as const
const keptFields = ['billed', 'mode', 'prices']

/** What the form shows. */
export interface FilterView {
  filter: Record<(typeof filterFields)[number], string>
  /** Set by a link from an invoice; kept while filtering. */
  kept: Choice[]
  choices: { model: Choice[]; surface: Choice[]; tier: Choice[] }
  narrowed: boolean
}

export interface RefusedView extends FilterView {
  refusal: Refusal
}

export interface AnalyticsView extends FilterView {
  range: string
  invoiceNote: string | null
  cards: Card[]
  days: DayBar[]
  shares: { what: string; rows: Share[] }[]
  calls: CallLine[]
  older: string | null
  newest: string | null
  csv: string
}

export const keyNames = { platform: 'Platform key', workspace: 'Your key' } as const

const statusNames: Record<string, string> = {
  ok: 'OK',
  client_closed: 'Client left',
  interrupted: 'Interrupted',
  upstream_error: 'Provider error',
  rejected_upstream: 'Refused by provider',
}

export const statusName = (status: string): string => statusNames[status] ?? status
/** `none`: a model that no tier holds. */
export const tierName = (tier: string): string => (isTier(tier) ? tierNames[tier] : tier === 'none' ? 'No tier' : tier)

export const providerName = (id: string): string => (isProviderId(id) ? providerOf(id).name : id)

const dash = (text: string | null): string => text ?? '–'
const tokens = (value: bigint | null): string => dash(value === null ? null : count(value))

function notes(parts: [bigint | null, string][]): string | null {
  const known = parts.filter(([value]) => value !== null && value > 0n)
  return known.length ? known.map(([value, what]) => `${count(value)} ${what}`).join(', ') : null
}

/** Seconds from one second up, else milliseconds. */
export const latency = (ms: number | null): string =>
  dash(ms === null ? null : ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`)

/** Beside an amount that is not on the invoice. */
const chargeNotes: Partial<Record<ChargeMode, string>> = {
  credits: 'from credits',
  flat_fee: 'billed externally',
  pass_through: 'billed externally',
}

function toLine(root: string, call: CallRow, { models, surfaces }: Catalogue, currency: string): CallLine {
  const held = call.chargePico === null
  return {
    id: call.id,
    to: `${root}/calls/${call.id}`,
    at: utcSecond(call.dispatchedAt.toISOString()),
    surface: surfaces.get(call.surface)?.name ?? call.surface,
    model: models.get(call.model)?.name ?? call.model,
    modelNote: [providerName(call.provider), ...(isTier(call.tier) ? [tierName(call.tier)] : [])].join(', '),
    key: keyNames[call.keySource],
    input: tokens(call.inputTokens),
    inputNote: notes([
      [call.cacheReadTokens, 'from cache'],
      [call.cacheWriteTokens, 'to cache'],
    ]),
    output: tokens(call.outputTokens),
    outputNote: notes([[call.reasoningTokens, 'reasoning']]),
    rawCost: money(call.correctedCostPico ?? call.rawCostPico),
    tierPrice: money(call.tierPricePico, currency),
    charge: held ? 'held' : money(call.chargeMode === 'credits' ? call.creditPico : call.chargePico, currency),
    chargeNote: chargeNotes[call.chargeMode] ?? null,
    latency: latency(call.latencyMs),
    status: statusName(call.status),
    trouble: held ? 'held' : call.status === 'ok' || call.status === 'client_closed' ? 'none' : 'failed',
  }
}

function toCards({ total, platform, workspace }: Usage, currency: string): Card[] {
  const charged = centsThatAddUp([platform.chargePico, workspace.chargePico], currency)
  const [onPlatform, onOwn] = charged.parts
  const troubles = [
    total.failedCalls ? `${count(total.failedCalls)} failed` : null,
    total.heldCalls ? `${count(total.heldCalls)} held until their cost is known` : null,
  ].filter(Boolean)
  return [
    { label: 'Calls', value: count(total.calls), note: troubles.join(', ') || 'none failed' },
    {
      label: 'Tokens',
      value: count(total.inputTokens + total.outputTokens),
      note: `${count(total.inputTokens)} in, ${count(total.outputTokens)} out`,
    },
    {
      label: 'Charged to you',
      value: charged.total,
      note: [
        `${onPlatform} on the platform key, ${onOwn} on your keys`,
        ...(total.creditPico ? [`beside ${money(total.creditPico)} from credits`] : []),
      ].join(', '),
    },
    {
      label: 'Billed by your provider',
      value: money(workspace.rawCostPico),
      note: workspace.calls
        ? `${counted(workspace.calls, 'call')} on your own key, not on our invoice`
        : 'no calls on a key of your own',
    },
  ]
}

const MICRO: Pico = 1_000_000n
const height = (amount: Pico): number => Number(amount / MICRO)

const toBar = ({ day, platform, workspace }: DayUsage, currency: string): DayBar => ({
  day: utcDay(day).slice(0, -5),
  platformHeight: height(platform.chargePico + platform.creditPico),
  marginHeight: height(workspace.chargePico),
  platform: cents(platform.chargePico + platform.creditPico, currency),
  margin: cents(workspace.chargePico, currency),
  calls: count(platform.calls + workspace.calls),
})

const toShare = (nameOf: (name: string) => string, { name, sums }: NamedSums, currency: string): Share => ({
  name: nameOf(name),
  calls: count(sums.calls),
  charge: cents(sums.chargePico + sums.creditPico, currency),
})

/** What the catalogue offers, and what was used and is gone from it. */
function choicesOf(known: Map<string, { name: string }>, used: NamedSums[], chosen: string | null): Choice[] {
  const names = new Set([...known.keys(), ...used.map((row) => row.name), ...(chosen ? [chosen] : [])])
  return [...names]
    .map((value) => ({ value, label: known.get(value)?.name ?? value }))
    .sort((a, b) => a.label.localeCompare(b.label))
}

/** The filter as URL parameters; what is "any" is left out. */
export function filterParams(filter: CallFilter): URLSearchParams {
  const params = new URLSearchParams({ from: filter.from, to: filter.to })
  const rest = {
    model: filter.model,
    surface: filter.surface,
    tier: filter.tier,
    key: filter.keySource,
    outcome: filter.outcome,
    billed: filter.billedIn,
    mode: filter.chargeMode,
    prices: filter.priceBookVersion?.toString() ?? null,
  }
  for (const [name, value] of Object.entries(rest)) if (value !== null) params.set(name, value)
  return params
}

interface AnalyticsInput {
  root: string
  filter: CallFilter
  usage: Usage
  page: CallPage
  catalogue: Catalogue
  /** Whether this is the list's first page. */
  isFirst: boolean
  /** That the workspace is billed in; what providers bill is USD. */
  currency: string
}

type Known = Pick<Catalogue, 'models' | 'surfaces'>

/** The form as it was sent, for an address that cannot be: of what it keeps unseen, all but the refused. */
export function toRefusedView(params: URLSearchParams, { models, surfaces }: Known, refusal: Refusal): RefusedView {
  const text = (name: string) => params.get(name) ?? ''
  return {
    refusal,
    filter: {
      ...(Object.fromEntries(filterFields.map((name) => [name, text(name)])) as RefusedView['filter']),
      from: isCalendarDay(text('from')) ? text('from') : '',
      to: isCalendarDay(text('to')) ? text('to') : '',
    },
    kept: keptFields.flatMap((name) =>
      text(name) && name !== refusal.field ? [{ value: text(name), label: name }] : [],
    ),
    choices: {
      model: choicesOf(models, [], null),
      surface: choicesOf(surfaces, [], null),
      tier: tiers.map((tier) => ({ value: tier, label: tierNames[tier] })),
    },
    narrowed: true,
  }
}

/** Everything on the page as text: amounts are formatted here, on the server, from exact integers. */
export function toAnalyticsView(input: AnalyticsInput): AnalyticsView {
  const { root, filter, usage, page, catalogue, isFirst, currency } = input
  const params = filterParams(filter)
  const link = (extra: Record<string, string>) =>
    `${root}/analytics?${new URLSearchParams([...params, ...Object.entries(extra)])}`
  const kept = keptFields.flatMap((name) => (params.has(name) ? [{ value: params.get(name) ?? '', label: name }] : []))
  const text = (name: string) => params.get(name) ?? ''
  const nameOf = (known: Map<string, { name: string }>) => (name: string) => known.get(name)?.name ?? name
  return {
    range: filter.from === filter.to ? utcDay(filter.from) : `${utcDay(filter.from)} to ${utcDay(filter.to)}`,
    filter: Object.fromEntries(filterFields.map((name) => [name, text(name)])) as AnalyticsView['filter'],
    kept,
    invoiceNote: filter.billedIn ? `Only calls that the invoice of ${monthName(filter.billedIn)} bills.` : null,
    choices: {
      model: choicesOf(catalogue.models, usage.byModel, filter.model),
      surface: choicesOf(catalogue.surfaces, usage.bySurface, filter.surface),
      tier: tiers.map((tier) => ({ value: tier, label: tierNames[tier] })),
    },
    narrowed: [...params.keys()].length > 2,
    cards: toCards(usage, currency),
    days: usage.byDay.map((day) => toBar(day, currency)),
    shares: [
      { what: 'Model', rows: usage.byModel.map((row) => toShare(nameOf(catalogue.models), row, currency)) },
      { what: 'Surface', rows: usage.bySurface.map((row) => toShare(nameOf(catalogue.surfaces), row, currency)) },
      { what: 'Tier', rows: usage.byTier.map((row) => toShare(tierName, row, currency)) },
    ],
    calls: page.calls.map((call) => toLine(root, call, catalogue, currency)),
    older: page.next && link({ after: page.next }),
    newest: isFirst ? null : link({}),
    csv: `${root}/analytics.csv?${params}`,
  }
}
