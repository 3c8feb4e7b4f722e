import type { PlanRules } from '#app/domain/plans/plans.ts'
import type { GatewaySettings } from '#app/domain/workspaces/gateway-settings.ts'
import { parsePico } from '#app/platform/pico.ts'
import type { Choice } from '#app/ui/analytics/analytics-view.ts'
import { money } from '#app/ui/money.ts'

export interface RoutingView {
  canManage: boolean
  /** Null: the plan has no platform key, so there is nothing to switch. */
  never: { on: boolean; state: string; sentence: string } | null
  fallbacks: { surface: string; name: string; cap: string }[]
  /** Surfaces that may still be allowed to fall back. */
  choices: Choice[]
  fallbackSentence: string
  lowBalance: { usd: string; shown: string; sentence: string }
}

/** The plan allows no keys, and the platform key is switched off: nothing serves a call. */
export interface StuckView {
  sentence: string
  canManage: boolean
}

interface RoutingInput {
  settings: GatewaySettings
  surfaces: ReadonlyMap<string, { name: string; background: boolean }>
  platformChargeMode: PlanRules['platformChargeMode']
  canManage: boolean
}

const platformPays: Record<PlanRules['platformChargeMode'], string> = {
  tier: 'costs you the tier price',
  credits: 'draws credits at the tier price',
  markup: 'costs you what the provider charges',
  none: 'is refused',
}
const standInPays: Record<PlanRules['platformChargeMode'], string> = {
  tier: 'you pay the tier price for it on our invoice',
  credits: 'it draws credits at the tier price',
  markup: 'you pay what the provider charges for it on our invoice',
  none: 'that needs a plan with a platform key',
}

/** All that is left to decide where the plan allows no keys: a switch from before, which refuses every call now. */
export const stuckWords = (
  platformChargeMode: PlanRules['platformChargeMode'],
  { neverPlatformKey }: Pick<GatewaySettings, 'neverPlatformKey'>,
): string | null =>
  platformChargeMode === 'none' || !neverPlatformKey
    ? null
    : `This workspace once decided never to use the platform key, and its plan has no keys of your own: every call is refused now. Allowed again, a call runs on the platform key and ${platformPays[platformChargeMode]}.`

const usd = (text: string): string => money(parsePico(text) ?? null)

/** Each setting with what it means in money. */
export function toRoutingView({ settings, surfaces, platformChargeMode, canManage }: RoutingInput): RoutingView {
  const { neverPlatformKey: on, lowBalanceUsd, fallbacks } = settings
  const allowed = new Set(fallbacks.map((one) => one.surface))
  const foreground = [...surfaces].filter(([id, { background }]) => !background && !allowed.has(id))
  const background = [...surfaces].filter(([, one]) => one.background).map(([, { name }]) => name)
  return {
    canManage,
    never:
      platformChargeMode === 'none'
        ? null
        : {
            on,
            state: on
              ? 'On: the platform key is never used.'
              : 'Off: a call without a usable key of yours runs on the platform key.',
            sentence: on
              ? `A call that none of your keys serves is refused with a clear error and costs nothing. ${background.join(', ')} run on your keys too, so your provider bills you for them.`
              : `A call that none of your keys serves runs on the platform key and ${platformPays[platformChargeMode]}, as do ${background.join(', ')}. Switched on, such a call is refused instead and costs nothing, and those run on your keys.`,
          },
    fallbacks: fallbacks.map(({ surface, dailyCapUsd }) => ({
      surface,
      name: surfaces.get(surface)?.name ?? surface,
      cap: usd(dailyCapUsd),
    })),
    choices: foreground.map(([value, { name }]) => ({ value, label: name })),
    fallbackSentence: `Off unless you allow it here. Where your provider answers “too many requests” (429) or fails (5xx), the call goes out once more under the platform key, and ${standInPays[platformChargeMode]}. Once a day’s fall-backs of a surface reach its limit, calls fail as before until midnight UTC. Every use is shown in the analytics and told in a notice.${on ? ' While the platform key is never used, nothing falls back to it.' : ''}`,
    lowBalance: {
      usd: lowBalanceUsd,
      shown: usd(lowBalanceUsd),
      sentence:
        'When what is left on a key falls below this, the workspace’s owners and billing admins are told by notice and mail. Nothing is stopped, and nothing is charged for it.',
    },
  }
}
