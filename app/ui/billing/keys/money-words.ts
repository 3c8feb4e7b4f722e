import type { Sums } from '#app/domain/analytics/analytics.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import { counted, money } from '#app/ui/money.ts'

/** What decides who pays for a call. */
export interface MoneyRules {
  workspaceChargeMode: PlanRules['workspaceChargeMode']
  /** The plan has a platform key, and the workspace has not switched it off. */
  platformServes: boolean
}

/** Above the list of keys. `provider`: the only one that the plan allows. */
export function keysNote({ workspaceChargeMode, platformServes }: MoneyRules, provider: string | null): string {
  const who = provider ?? 'the provider'
  const background = platformServes
    ? ' Search indexing, attachment text and the mention cache always run on the platform key.'
    : ' No call runs on the platform key: one that none of your keys serves is refused.'
  return workspaceChargeMode === 'pass_through'
    ? `With a key of your own, ${who} bills you directly for what models cost, and we bill nothing for those calls.${background}`
    : `With a key of your own, ${who} bills you directly for what models cost, and our invoice holds only the margin: the tier price less that cost, never below $0 for any call.${background}`
}

export const noKeysText = ({ platformServes }: MoneyRules, canManage: boolean): string =>
  `${
    platformServes
      ? 'No key is configured: all calls run on the platform key, at the tier price.'
      : 'No key is configured, so every call is refused until one is.'
  }${canManage ? '' : ' An owner or a billing admin of this workspace can add one.'}`

/** After a save. */
export const savedMoney = ({ workspaceChargeMode }: MoneyRules, provider: string): string =>
  workspaceChargeMode === 'pass_through'
    ? `From the next call on, ${provider} bills you for the model and we bill nothing.`
    : `From the next call on, ${provider} bills you for the model and we bill only the margin.`

interface Removal {
  provider: string
  /** Another key of the same provider is in use. */
  hasSibling: boolean
  /** A key of another provider is in use. */
  hasOther: boolean
}

/** What taking a key away does to routing and bill. */
export function removalWords(
  { platformServes, workspaceChargeMode }: MoneyRules,
  removal: Removal,
): { routing: string; bill: string } {
  const { provider, hasSibling, hasOther } = removal
  const soFar = workspaceChargeMode === 'pass_through' ? '' : ' What your key carried so far stays billed as margin.'
  if (hasSibling)
    return {
      routing: `from the next call on, calls go to your next ${provider} key. Calls that are running now end on this one.`,
      bill: `nothing changes on our invoice; ${provider} bills the account of the other key.`,
    }
  const which = hasOther ? 'every call that no other key of yours serves' : 'every call'
  if (platformServes)
    return {
      routing: `from the next call on, ${which} runs on the platform key. Calls that are running now end on your key.`,
      bill: `those calls are billed at the tier price, and ${provider} no longer bills you for them.${soFar}`,
    }
  return {
    routing: `from the next call on, ${which} is refused with an error that says so. Calls that are running now end on your key.`,
    bill: `a refused call costs nothing, here or at ${provider}.${soFar}`,
  }
}

/** What the workspace's key carried in the last 30 days, and what the same calls would have cost without it. */
export const carriedByKeys = (carried: Sums | null): string | null =>
  carried?.calls
    ? `In the last 30 days your key carried ${counted(carried.calls, 'call')}. They cost you ${money(carried.rawCostPico)} at your provider and ${money(carried.chargePico)} margin here. On the platform key the same calls would have cost ${money(carried.tierPricePico)} here and nothing there.`
    : null
