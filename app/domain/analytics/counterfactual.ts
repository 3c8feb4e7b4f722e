import type { ChargeMode, KeySource, PlanRules } from '#app/domain/plans/plans.ts'
import type { Pico } from '#app/platform/pico.ts'

/** Sums over the calls of one kind of surface, each exact: what every charge mode needs. */
export interface ModeSums {
  calls: bigint
  /** Calls whose model is in no tier: no tier price is known for them. */
  untieredCalls: bigint
  /** Calls whose cost is not known. */
  unknownCostCalls: bigint
  /** Free calls that were never marked up: what their model costs elsewhere was not looked up. */
  unmarkedFreeCalls: bigint
  tierPricePico: Pico
  rawCostPico: Pico
  /** Σ max(0, tier price − cost), call by call, where both are known. */
  marginPico: Pico
  /** Calls whose cost was above their tier price: their margin is $0. */
  flooredCalls: bigint
  /** Σ of each call's share, rounded per call, by basis points. */
  sharesPico: ReadonlyMap<number, Pico>
}

export const noModeSums: ModeSums = {
  calls: 0n,
  untieredCalls: 0n,
  unknownCostCalls: 0n,
  unmarkedFreeCalls: 0n,
  tierPricePico: 0n,
  rawCostPico: 0n,
  marginPico: 0n,
  flooredCalls: 0n,
  sharesPico: new Map(),
}

/** The calls by what decides whose key takes them: background surfaces stay on the platform key, where there is one. */
export interface SurfaceSums {
  background: ModeSums
  others: ModeSums
}

/** The calls of one key source in a scenario, and what they come to. */
export interface Part {
  keySource: KeySource
  mode: ChargeMode
  markupBp: number | null
  sums: ModeSums
  /** On the invoice. */
  chargePico: Pico
  /** From credits. */
  creditPico: Pico
  /** From the provider, to the workspace. */
  providerPico: Pico
  /** Calls that this mode cannot price, which are in none of the three. */
  unpricedCalls: bigint
}

/** The same calls under one plan, with keys of the workspace's own or without. */
export interface Scenario {
  plan: Pick<PlanRules, 'id' | 'name'>
  ownKey: boolean
  parts: Part[]
  chargePico: Pico
  providerPico: Pico
  /** For a month with a key enabled throughout. */
  feePico: Pico
  creditPico: Pico
  /** What the plan brings in credits each month. */
  monthlyCreditsPico: Pico
  /** What would have to be paid for credits: those drawn beyond the monthly ones. */
  boughtCreditsPico: Pico
  /** Everything that would have been paid, here and at the provider. */
  totalPico: Pico
  unpricedCalls: bigint
}

function priced(
  mode: ChargeMode,
  markupBp: number | null,
  sums: ModeSums,
): Pick<Part, 'chargePico' | 'creditPico' | 'unpricedCalls'> {
  const nothing = { chargePico: 0n, creditPico: 0n, unpricedCalls: 0n }
  switch (mode) {
    case 'tier':
      return { ...nothing, chargePico: sums.tierPricePico, unpricedCalls: sums.untieredCalls }
    case 'credits':
      return { ...nothing, creditPico: sums.tierPricePico, unpricedCalls: sums.untieredCalls }
    case 'tier_margin':
      return { ...nothing, chargePico: sums.marginPico, unpricedCalls: sums.untieredCalls + sums.unknownCostCalls }
    case 'markup':
      return {
        ...nothing,
        chargePico: sums.sharesPico.get(markupBp ?? 0) ?? 0n,
        unpricedCalls: sums.unknownCostCalls + sums.unmarkedFreeCalls,
      }
    default:
      return nothing
  }
}

function partOf(plan: PlanRules, keySource: KeySource, sums: ModeSums): Part {
  const mode = keySource === 'workspace' ? plan.workspaceChargeMode : (plan.platformChargeMode as ChargeMode)
  const bp = keySource === 'workspace' ? plan.workspaceMarkupBp : plan.platformMarkupBp
  const markupBp = mode === 'markup' ? bp : null
  const providerPico = keySource === 'workspace' ? sums.rawCostPico : 0n
  return { keySource, mode, markupBp, sums, providerPico, ...priced(mode, markupBp, sums) }
}

const addUp = (parts: Part[], name: 'chargePico' | 'creditPico' | 'providerPico' | 'unpricedCalls'): bigint =>
  parts.reduce((sum, part) => sum + part[name], 0n)

/**
 * What the same calls would have come to under a plan. With keys of its own, calls on background surfaces stay on the platform
 * key where the plan has one; a key is taken to serve every model, at the cost that was paid.
 * @returns null where the plan has no such way: no platform key, or no keys
 */
export function scenarioOf(plan: PlanRules, ownKey: boolean, { background, others }: SurfaceSums): Scenario | null {
  const hasPlatform = plan.platformChargeMode !== 'none'
  if (ownKey ? plan.allowedProviders.length === 0 : !hasPlatform) return null
  const parts = [
    partOf(plan, ownKey ? 'workspace' : 'platform', others),
    partOf(plan, ownKey && !hasPlatform ? 'workspace' : 'platform', background),
  ]
  const [chargePico, creditPico, providerPico] = [
    addUp(parts, 'chargePico'),
    addUp(parts, 'creditPico'),
    addUp(parts, 'providerPico'),
  ]
  const feePico = ownKey && plan.workspaceChargeMode === 'flat_fee' ? plan.keyFeePico : 0n
  const { monthlyCreditsPico } = plan
  const boughtCreditsPico = creditPico > monthlyCreditsPico ? creditPico - monthlyCreditsPico : 0n
  return {
    ...{ plan: { id: plan.id, name: plan.name }, ownKey, parts, chargePico, providerPico, feePico, creditPico },
    ...{ monthlyCreditsPico, boughtCreditsPico, totalPico: chargePico + providerPico + feePico + boughtCreditsPico },
    unpricedCalls: addUp(parts, 'unpricedCalls'),
  }
}

/** Everything about a plan that changes what calls come to. Plans alike in it give one scenario. */
const termsOf = (plan: PlanRules, ownKey: boolean): string =>
  JSON.stringify([
    ...[ownKey, plan.platformChargeMode, plan.platformMarkupBp, ownKey && plan.workspaceChargeMode],
    ...[ownKey && plan.workspaceMarkupBp, ownKey && plan.keyFeePico.toString(), plan.monthlyCreditsPico.toString()],
  ])

/** Every way to be charged that the catalogue has: those of the workspace's own plan first, then by what they come to. */
export function scenariosOf(plans: readonly PlanRules[], currentPlanId: string, sums: SurfaceSums): Scenario[] {
  const seen = new Set<string>()
  const isCurrent = (plan: { id: string }) => plan.id === currentPlanId
  const ordered = [...plans.filter(isCurrent), ...plans.filter((plan) => !isCurrent(plan))]
  const found = ordered.flatMap((plan) =>
    [false, true].flatMap((ownKey) => {
      const terms = termsOf(plan, ownKey)
      const scenario = seen.has(terms) ? null : scenarioOf(plan, ownKey, sums)
      if (!scenario) return []
      seen.add(terms)
      return [scenario]
    }),
  )
  const rank = (one: Scenario) => (isCurrent(one.plan) ? 0 : 1)
  return found.sort((a, b) => rank(a) - rank(b) || (a.totalPico < b.totalPico ? -1 : a.totalPico > b.totalPico ? 1 : 0))
}
