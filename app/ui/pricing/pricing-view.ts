import type { TimelineEvent } from '#app/domain/analytics/billing-timeline.server.ts'
import type { Counterfactual } from '#app/domain/analytics/counterfactual.server.ts'
import type { Part, Scenario } from '#app/domain/analytics/counterfactual.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import { providerName } from '#app/ui/analytics/analytics-view.ts'
import { formulaOf, modeNames } from '#app/ui/charge-words.ts'
import { count, counted, exactMoney, money } from '#app/ui/money.ts'
import { utcDay, utcMinute } from '#app/ui/time.ts'

export interface ScenarioView {
  key: string
  title: string
  plan: string
  yours: boolean
  here: string
  provider: string
  total: string
  totalExact: string
  /** The arithmetic, line by line. */
  lines: { what: string; amount: string }[]
  warnings: string[]
}

export interface PricingView {
  range: string
  calls: string
  empty: boolean
  /** The currency the workspace is billed in, where that is not the one that providers bill in: nothing is compared then. */
  otherCurrency: string | null
  scenarios: ScenarioView[]
  /** Calls that some modes cannot price, by model. */
  unpriced: { title: string; rows: { model: string; calls: string }[] }[]
  /** Why a call on the platform key is charged as it is, in the words of the workspace's plan. */
  timelineNote: string
  timeline: { key: string; from: string; until: string; what: string; to: string | null }[]
}

const whose = (ownKey: boolean) => (ownKey ? 'with a key of your own' : 'on the platform key')

/** Modes that no call of a model outside the tiers can be charged in. */
const needsTier = (mode: Part['mode']): boolean => mode === 'tier' || mode === 'tier_margin' || mode === 'credits'

export function linesOf(part: Part): ScenarioView['lines'] {
  const { sums, mode, markupBp, keySource } = part
  if (sums.calls === 0n) return []
  const on = keySource === 'workspace' ? 'your key' : 'the platform key'
  const amount = mode === 'credits' ? `${exactMoney(part.creditPico)} from credits` : exactMoney(part.chargePico)
  const priced = sums.calls - (needsTier(mode) ? sums.untieredCalls : 0n)
  const line = { what: `${counted(priced, 'call')} on ${on}: ${formulaOf(mode, markupBp)}`, amount }
  const bases =
    mode === 'tier_margin'
      ? [
          {
            what: `Σ tier price ${exactMoney(sums.tierPricePico)}, Σ cost ${exactMoney(sums.rawCostPico)}; ${counted(sums.flooredCalls, 'call')} cost more than the tier price and count as $0`,
            amount: '',
          },
        ]
      : mode === 'markup'
        ? [{ what: `Σ cost ${exactMoney(sums.rawCostPico)}, each call's share rounded once`, amount: '' }]
        : []
  const provider =
    keySource === 'workspace'
      ? [{ what: 'Your provider would have billed you for them', amount: exactMoney(part.providerPico) }]
      : []
  return [line, ...bases, ...provider]
}

function warningsOf({ parts }: Scenario): string[] {
  return parts.flatMap(({ mode, sums, keySource }) => {
    const said: string[] = []
    if (needsTier(mode) && sums.untieredCalls > 0n)
      said.push(
        `${counted(sums.untieredCalls, 'call')} of models in no tier could not be made this way and are in none of these sums.`,
      )
    if ((mode === 'tier_margin' || mode === 'markup' || keySource === 'workspace') && sums.unknownCostCalls > 0n)
      said.push(
        `${counted(sums.unknownCostCalls, 'call')} whose cost is not known are not in what the provider bills, nor in what is taken of it.`,
      )
    if (mode === 'markup' && sums.unmarkedFreeCalls > 0n)
      said.push(
        `${counted(sums.unmarkedFreeCalls, 'free call')} would be charged a share of the model's lowest paid rate, which is not in these sums.`,
      )
    return said
  })
}

function extrasOf(scenario: Scenario): ScenarioView['lines'] {
  const { feePico, creditPico, monthlyCreditsPico, boughtCreditsPico } = scenario
  return [
    ...(feePico > 0n ? [{ what: 'Fee for a month with a key enabled throughout', amount: exactMoney(feePico) }] : []),
    ...(creditPico > 0n && monthlyCreditsPico > 0n
      ? [
          {
            what: 'Covered by the credits that the plan brings each month',
            amount: `−${exactMoney(creditPico < monthlyCreditsPico ? creditPico : monthlyCreditsPico)}`,
          },
        ]
      : []),
    ...(boughtCreditsPico > 0n ? [{ what: 'Credits to be bought', amount: exactMoney(boughtCreditsPico) }] : []),
  ]
}

/** The modes of the calls that there are, in words: what the row is called. */
const titleOf = ({ parts, ownKey }: Scenario): string => `${modeNames[parts[0]?.mode ?? 'tier']}, ${whose(ownKey)}`

function toScenario(scenario: Scenario, currentPlanId: string): ScenarioView {
  const { plan, ownKey, chargePico, feePico, boughtCreditsPico, providerPico, totalPico } = scenario
  return {
    key: `${plan.id} ${ownKey}`,
    title: titleOf(scenario),
    plan: plan.name,
    yours: plan.id === currentPlanId,
    here: money(chargePico + feePico + boughtCreditsPico),
    provider: money(providerPico),
    total: money(totalPico),
    totalExact: exactMoney(totalPico),
    lines: [...scenario.parts.flatMap(linesOf), ...extrasOf(scenario)],
    warnings: [...new Set(warningsOf(scenario))],
  }
}

function toTimelineRow(event: TimelineEvent, root: string): Omit<PricingView['timeline'][number], 'key'> {
  const until = (text: string | null) => (text ? utcMinute(text) : 'now')
  switch (event.kind) {
    case 'plan':
      return { from: utcMinute(event.at), until: until(event.until), what: `Plan ${event.planName}`, to: null }
    case 'key':
      return {
        from: utcMinute(event.at),
        until: until(event.until),
        what: `${providerName(event.provider)} key ${event.hint ?? 'that is gone'} switched on: calls that it serves were paid by it`,
        to: null,
      }
    case 'purge':
      return {
        from: utcMinute(event.at),
        until: '',
        what: `${providerName(event.provider)} key ${event.hint} destroyed; a call that was running ended on it`,
        to: `${root}/settings/billing/certificates/${event.certificateId}`,
      }
    default:
      return {
        from: utcDay(event.at),
        until: utcDay(event.until),
        what: `${counted(event.calls, 'call')} on ${event.keySource === 'workspace' ? 'your keys' : 'the platform key'}, charged as “${modeNames[event.chargeMode]}”`,
        to: `${root}/analytics?from=${event.at}&to=${event.until}&key=${event.keySource}&mode=${event.chargeMode}`,
      }
  }
}

export function timelineNote(platformMode: PlanRules['platformChargeMode']): string {
  const fixed =
    'How a call is charged is fixed when it is sent and never changes: by the plan at that instant, and by whether an enabled key of yours served the model.'
  return platformMode === 'none'
    ? `${fixed} This plan has no platform key: a call that no key of yours serves is refused.`
    : `${fixed} So a call from before a key, on a background surface, or of a model that the key does not serve is still “${modeNames[platformMode]}”; its receipt says which of these it was.`
}

interface PricingInput {
  root: string
  planId: string
  platformMode: PlanRules['platformChargeMode']
  counterfactual: Counterfactual
  timeline: TimelineEvent[]
}

export function toPricingView({ root, planId, platformMode, counterfactual, timeline }: PricingInput): PricingView {
  const { from, to, calls, currency, scenarios, untiered, unknownCost } = counterfactual
  const rows = (named: Counterfactual['untiered']) => named.map(({ model, calls: of }) => ({ model, calls: count(of) }))
  return {
    range: `${utcDay(from)} to ${utcDay(to)}, days in UTC`,
    calls: counted(calls, 'call'),
    empty: calls === 0n,
    otherCurrency: currency === 'usd' ? null : currency.toUpperCase(),
    scenarios: scenarios.map((scenario) => toScenario(scenario, planId)),
    unpriced: [
      { title: 'Models in no tier', rows: rows(untiered) },
      { title: 'Models with calls whose cost is not known', rows: rows(unknownCost) },
    ].filter(({ rows: named }) => named.length > 0),
    timelineNote: timelineNote(platformMode),
    timeline: timeline.map((event, at) => ({ key: String(at), ...toTimelineRow(event, root) })),
  }
}
