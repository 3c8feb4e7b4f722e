/** Whose key paid for a call; fixed at dispatch and stored with it. */
export type KeySource = 'platform' | 'workspace'

/** How a call is priced to the customer. `tier`: the tier price. `tier_margin`: what the tier price exceeds the raw cost by. */
export type ChargeMode = 'tier' | 'tier_margin'

/** A row of the plan catalogue. Presets differ in these columns only. */
export interface PlanRules {
  id: string
  name: string
  /** Position among the preset's plans, lowest first. */
  rank: number
  /** Providers whose keys a workspace on this plan may hold. Empty: the plan never sees the key card. */
  allowedProviders: string[]
  platformChargeMode: ChargeMode
  workspaceChargeMode: ChargeMode
}

export interface KeyChoice {
  plan: PlanRules
  /** Background surfaces stay on the platform key by design. */
  surfaceIsBackground: boolean
  provider: string
  /** The workspace's saved key for this provider, if any. */
  key: { enabled: boolean } | null
}

export const planAllowsProvider = (plan: Pick<PlanRules, 'allowedProviders'>, provider: string): boolean =>
  plan.allowedProviders.includes(provider)

/**
 * The key source of a call. Only the absence of a usable key leads to the platform key; a key that fails later does not
 * (there is no silent fall-back).
 */
export function chooseKeySource({ plan, surfaceIsBackground, provider, key }: KeyChoice): KeySource {
  if (surfaceIsBackground || !planAllowsProvider(plan, provider)) return 'platform'
  return key?.enabled ? 'workspace' : 'platform'
}

export const chargeModeFor = (plan: PlanRules, keySource: KeySource): ChargeMode =>
  keySource === 'workspace' ? plan.workspaceChargeMode : plan.platformChargeMode
