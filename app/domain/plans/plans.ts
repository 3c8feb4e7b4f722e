import type { Pico } from '#app/platform/pico.ts'

/** Whose key paid for a call; fixed at dispatch and stored with it. */
export type KeySource = 'platform' | 'workspace'

/**
 * How a call is priced to the customer (design §3, §4).
 * - `tier` the tier price · `credits` the tier price, drawn from credits instead of invoiced
 * - `tier_margin` what the tier price exceeds the raw cost by, never below zero
 * - `markup` a share of the cost, in basis points; of a free model, of the lowest rate that anybody pays for it
 * - `flat_fee` nothing per call, a fee per month in which a key was enabled
 * - `pass_through` nothing: the workspace's own key paid the provider
 */
export type PlatformChargeMode = 'tier' | 'markup' | 'credits'
export type WorkspaceChargeMode = 'tier_margin' | 'markup' | 'flat_fee' | 'pass_through'
export type ChargeMode = PlatformChargeMode | WorkspaceChargeMode

/** Modes that need the model's tier; a call on a model without one cannot be priced by them. */
export const needsTier = (mode: ChargeMode): boolean => mode === 'tier' || mode === 'tier_margin' || mode === 'credits'

/** In `allowedProviders`: keys of every kind. */
const everyProvider = '*'

/** A row of the plan catalogue. Presets differ in these columns only. */
export interface PlanRules {
  id: string
  name: string
  /** Position among the preset's plans, lowest first. */
  rank: number
  /** Providers whose keys a workspace on this plan may hold, or `*`. Empty: the plan never sees the key card. */
  allowedProviders: string[]
  /** `none`: the plan has no platform key; a key of the workspace's own is required. */
  platformChargeMode: PlatformChargeMode | 'none'
  workspaceChargeMode: WorkspaceChargeMode
  /** Basis points of the cost that a `markup` charges, by whose key paid. 10,000 is the cost itself. */
  platformMarkupBp: number
  workspaceMarkupBp: number
  /** What `flat_fee` charges per UTC month with an enabled key: for its seconds, or in full. */
  keyFeePico: Pico
  keyFeeProration: 'seconds' | 'whole_month'
  /** Credits that each UTC month brings; they end with it. */
  monthlyCreditsPico: Pico
  /** What a workspace must have in credits for a job to be queued. */
  minimumCreditsPico: Pico
  /** Beyond all credits: `stop` refuses the call, `bill` puts it on the invoice at the tier price. */
  creditOverage: 'stop' | 'bill'
  /** Whose key wins where several could serve a model; providers not named follow in the registry's order. */
  providerPrecedence: string[]
}

/** What a Stripe product stands for: a plan, or an add-on that entitles to none. `null`: nobody said. */
export type ProductMeaning = PlanRules | 'add_on' | null

export const planAllowsProvider = (plan: Pick<PlanRules, 'allowedProviders'>, provider: string): boolean =>
  plan.allowedProviders.includes(provider) || plan.allowedProviders.includes(everyProvider)

interface PlatformChoice {
  plan: Pick<PlanRules, 'platformChargeMode'>
  /** The workspace's switch: no call ever goes out under the platform's key. */
  neverPlatformKey: boolean
}

/** Whether the platform's key may serve calls of this workspace at all. */
export const platformServes = ({ plan, neverPlatformKey }: PlatformChoice): boolean =>
  plan.platformChargeMode !== 'none' && !neverPlatformKey

/**
 * Whether a call looks for a key of the workspace's own. Background surfaces stay on the platform key by design, and take
 * the workspace's only where the platform's may not be used. Only the absence of a usable key leads to the platform key; a
 * key that fails later does not (there is no silent fall-back).
 */
export const looksForOwnKey = (choice: PlatformChoice & { surfaceIsBackground: boolean }): boolean =>
  !choice.surfaceIsBackground || !platformServes(choice)

/** How a call is priced. @throws Error for the platform key on a plan without one: such a call must not have been admitted */
export function chargeModeFor(
  plan: Pick<PlanRules, 'id' | 'platformChargeMode' | 'workspaceChargeMode'>,
  keySource: KeySource,
): ChargeMode {
  if (keySource === 'workspace') return plan.workspaceChargeMode
  if (plan.platformChargeMode === 'none') throw new Error(`plan ${plan.id} has no platform key`)
  return plan.platformChargeMode
}

/** Basis points that a `markup` charges for a call; null where the mode takes none. */
export function markupBpFor(
  plan: Pick<PlanRules, 'platformMarkupBp' | 'workspaceMarkupBp'>,
  mode: ChargeMode,
  keySource: KeySource,
): number | null {
  if (mode !== 'markup') return null
  return keySource === 'workspace' ? plan.workspaceMarkupBp : plan.platformMarkupBp
}

/** Whether the plan draws on credits at all: they are granted, shown and sold then. */
export const usesCredits = (plan: Pick<PlanRules, 'platformChargeMode'>): boolean =>
  plan.platformChargeMode === 'credits'
