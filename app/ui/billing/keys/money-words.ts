import type { Sums } from '#app/domain/analytics/analytics.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import { percentOfBp } from '#app/ui/charge-words.ts'
import { counted, money } from '#app/ui/money.ts'

/** What decides who pays for a call. */
export interface MoneyRules {
  workspaceChargeMode: PlanRules['workspaceChargeMode']
  platformChargeMode: PlanRules['platformChargeMode']
  workspaceMarkupBp: number
  /** Decimal text, USD: per month in which a key is enabled. */
  keyFeeUsd: string
  keyFeeProration: PlanRules['keyFeeProration']
  /** The plan has a platform key, and the workspace has not switched it off. */
  platformServes: boolean
}

/** What our invoice holds for calls on the workspace's keys. */
function ownKeyBill({ workspaceChargeMode, workspaceMarkupBp, keyFeeUsd, keyFeeProration }: MoneyRules): string {
  switch (workspaceChargeMode) {
    case 'pass_through':
      return 'we bill nothing for those calls'
    case 'flat_fee':
      return `our invoice holds a fee of $${keyFeeUsd} per month${keyFeeProration === 'seconds' ? ', for the time that a key is enabled' : ' in which a key is enabled'}; those calls draw no credits`
    case 'markup':
      return `our invoice holds ${percentOfBp(workspaceMarkupBp)} of that cost; of a free model, of the lowest rate that anybody pays for it`
    default:
      return 'our invoice holds only the margin: the tier price less that cost, never below $0 for any call'
  }
}

/** How calls on the platform key are paid for. */
const platformBill: Record<PlanRules['platformChargeMode'], string> = {
  tier: 'at the tier price',
  credits: 'and draw credits at the tier price',
  markup: 'at what the provider charges',
  none: 'and are refused',
}

/** Above the list of keys. `provider`: the only one that the plan allows. */
export function keysNote(rules: MoneyRules, provider: string | null): string {
  const who = provider ?? 'the provider'
  const background = rules.platformServes
    ? ' Background surfaces, such as search indexing, always run on the platform key.'
    : ' No call runs on the platform key: one that none of your keys serves is refused.'
  return `With a key of your own, ${who} bills you directly for what models cost, and ${ownKeyBill(rules)}.${background}`
}

export const noKeysText = ({ platformServes, platformChargeMode }: MoneyRules, canManage: boolean): string =>
  `${
    platformServes
      ? `No key is configured: all calls run on the platform key, ${platformBill[platformChargeMode]}.`
      : 'No key is configured, so every call is refused until one is.'
  }${canManage ? '' : ' An owner or a billing admin of this workspace can add one.'}`

const savedBill: Record<PlanRules['workspaceChargeMode'], string> = {
  pass_through: 'we bill nothing',
  tier_margin: 'we bill only the margin',
  markup: 'we bill only our share of its cost',
  flat_fee: 'we bill only the monthly fee; no credits are drawn',
}

/** After a save. */
export const savedMoney = ({ workspaceChargeMode }: MoneyRules, provider: string): string =>
  `From the next call on, ${provider} bills you for the model and ${savedBill[workspaceChargeMode]}.`

interface Stop {
  provider: string
  /** The key is switched off already. */
  isOff: boolean
  /** Another key of the same provider is in use. */
  hasSibling: boolean
  /** A key of another provider is in use. */
  hasOther: boolean
}

const keptBill: Record<PlanRules['workspaceChargeMode'], string> = {
  pass_through: '',
  tier_margin: ' What your key carried so far stays billed as margin.',
  markup: ' What your key carried so far stays billed as a share of its cost.',
  flat_fee: ' The fee for the time that a key was enabled this month stays on the invoice.',
}

/** What switching a key off or taking it away does to routing and bill. */
export function stopWords(rules: MoneyRules, stop: Stop): { routing: string; bill: string } {
  const { platformServes, platformChargeMode, workspaceChargeMode } = rules
  const { provider, isOff, hasSibling, hasOther } = stop
  const soFar = keptBill[workspaceChargeMode]
  if (isOff)
    return {
      routing: 'nothing changes: the key is switched off, so no call uses it.',
      bill: `nothing changes.${soFar}`,
    }
  if (hasSibling)
    return {
      routing: `from the next call on, calls go to your next ${provider} key. Calls that are running now end on this one.`,
      bill: `nothing changes on our invoice; ${provider} bills the account of the other key.`,
    }
  const which = hasOther ? 'every call that no other key of yours serves' : 'every call'
  if (platformServes)
    return {
      routing: `from the next call on, ${which} runs on the platform key. Calls that are running now end on your key.`,
      bill: `${
        platformChargeMode === 'credits'
          ? 'those calls draw credits at the tier price'
          : `those calls are billed ${platformBill[platformChargeMode]}`
      }, and ${provider} no longer bills you for them.${soFar}`,
    }
  return {
    routing: `from the next call on, ${which} is refused with an error that says so. Calls that are running now end on your key.`,
    bill: `a refused call costs nothing, here or at ${provider}.${soFar}`,
  }
}

/** What the workspace's key carried in the last 30 days, and what the same calls would have cost without it. */
export function carriedByKeys(carried: Sums | null, { platformChargeMode }: MoneyRules): string | null {
  if (!carried?.calls) return null
  const here = carried.chargePico > 0n ? `${money(carried.chargePico)} here` : 'nothing here'
  const cost = `In the last 30 days your key carried ${counted(carried.calls, 'call')}. They cost you ${money(carried.rawCostPico)} at your provider and ${here}.`
  if (platformChargeMode === 'markup')
    return `${cost} On the platform key the same calls would have been charged at that cost here, and nothing there.`
  const without = platformChargeMode === 'credits' ? 'drawn' : 'cost'
  return `${cost} On the platform key the same calls would have ${without} ${money(carried.tierPricePico)}${platformChargeMode === 'credits' ? ' from credits' : ' here'} and nothing there.`
}
