import type { Sums } from '#app/domain/analytics/analytics.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import type { ProviderKeyStatus } from '#app/domain/vault/vault.ts'
import { counted, money } from '#app/ui/money.ts'
import { utcDay, utcMinute } from '#app/ui/time.ts'

export interface KeyCardView {
  provider: string
  providerName: string
  canManage: boolean
  key: {
    hint: string
    version: string
    saved: string
    enabled: boolean
    unverified: boolean
    /** What the provider said last, in words. */
    error: string | null
  } | null
  /** What taking the key away would have cost in the last 30 days; null where it carried nothing. */
  counterfactual: string | null
  /** Day on which the plan ends and the key is destroyed. */
  endsOn: string | null
}

const errorWords: Record<string, string> = {
  refused: 'refuses this key: it was revoked, or it is wrong. Calls on it fail until you replace or remove it.',
  management_key: 'says this is a management key, which cannot run models. Replace it with an ordinary API key.',
  payment_required: 'refuses calls for want of credit on your account there. Top it up, or remove the key.',
}

interface KeyCardInput {
  provider: ProviderId
  status: ProviderKeyStatus | null
  canManage: boolean
  /** What the workspace's key carried in the last 30 days. */
  carried: Sums | null
  endsAt: string | null
}

const counterfactualOf = (carried: Sums | null): string | null =>
  carried?.calls
    ? `In the last 30 days your key carried ${counted(carried.calls, 'call')}. They cost you ${money(carried.rawCostPico)} at your provider and ${money(carried.chargePico)} margin here. On the platform key the same calls would have cost ${money(carried.tierPricePico)} here and nothing there.`
    : null

export function toKeyCard({ provider, status, canManage, carried, endsAt }: KeyCardInput): KeyCardView {
  const { name } = providerOf(provider)
  return {
    provider,
    providerName: name,
    canManage,
    key: status && {
      hint: status.hint || 'too short for a hint',
      version: String(status.version),
      saved: `${utcMinute(status.savedAt)}${status.savedBy ? ` by ${status.savedBy}` : ''}`,
      enabled: status.enabled,
      unverified: status.verification === 'unverified',
      error:
        status.lastErrorCode &&
        `${status.lastErrorText ?? `${name} ${errorWords[status.lastErrorCode] ?? 'refused the last call on this key.'}`}${status.lastErrorAt ? ` Last seen ${utcMinute(status.lastErrorAt)}.` : ''}`,
    },
    counterfactual: counterfactualOf(carried),
    endsOn: endsAt && utcDay(endsAt),
  }
}

const unverifiedReasons: Record<string, string> = {
  rate_limited: 'it asked us to slow down',
  provider_error: 'it had an error of its own',
  timeout: 'it did not answer in time',
  unreachable: 'it could not be reached',
  unexpected_reply: 'its answer could not be understood',
}

interface SavedKeyFacts {
  outcome: 'saved' | 'replaced' | 'unchanged'
  verification: 'valid' | 'restricted' | 'unverified'
  reason: string
  reasonText: string
  hint: string
  limitRemainingUsd: string | null
}

/** What the page says after a save. Of the key it holds the hint alone. */
export function savedKeyMessage(
  saved: SavedKeyFacts,
  provider: ProviderId,
): { message: string; warning: string | null } {
  const { name } = providerOf(provider)
  const what = {
    saved: 'Key saved',
    replaced: 'Key replaced',
    unchanged: 'This key was saved already; nothing changed',
  }
  const limit = saved.limitRemainingUsd === null ? '' : ` Its own limit leaves $${saved.limitRemainingUsd} to spend.`
  const warning =
    saved.verification !== 'unverified'
      ? saved.reason === 'accepted'
        ? null
        : saved.reasonText
      : `${name} could not be asked whether the key works: ${unverifiedReasons[saved.reason] ?? 'it could not be asked'}. The key is saved and in use; we ask again within minutes.`
  return {
    message: `${what[saved.outcome]}: ${saved.hint}. From the next call on, ${name} bills you for the model and we bill only the margin.${limit}`,
    warning,
  }
}
