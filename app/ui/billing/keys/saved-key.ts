import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { type MoneyRules, savedMoney } from './money-words.ts'

const unverifiedReasons: Record<string, string> = {
  rate_limited: 'it asked us to slow down',
  provider_error: 'it had an error of its own',
  timeout: 'it did not answer in time',
  unreachable: 'it could not be reached',
  unexpected_reply: 'its answer could not be understood',
  no_model_to_try: 'none of its models answered',
}

interface SavedKeyFacts {
  outcome: 'saved' | 'replaced' | 'unchanged'
  verification: 'valid' | 'restricted' | 'unverified'
  reason: string
  reasonText: string
  hint: string
  limitRemainingUsd: string | null
  warning: string | null
}

const outcomes = {
  saved: 'Key saved',
  replaced: 'Key replaced',
  unchanged: 'This key was saved already; nothing changed',
}

function warningOf({ verification, reason, reasonText, warning }: SavedKeyFacts, name: string): string | null {
  const probe =
    verification === 'unverified'
      ? `${name} could not be asked whether the key works: ${unverifiedReasons[reason] ?? 'it could not be asked'}. The key is saved and in use; we ask again within minutes.`
      : reason === 'accepted'
        ? null
        : reasonText
  return [probe, warning].filter(Boolean).join(' ') || null
}

/** What the page says after a save. Of the key it holds the hint alone. */
export function savedKeyMessage(
  saved: SavedKeyFacts,
  provider: ProviderId,
  rules: MoneyRules,
): { message: string; warning: string | null } {
  const { name } = providerOf(provider)
  const limit = saved.limitRemainingUsd === null ? '' : ` Its own limit leaves $${saved.limitRemainingUsd} to spend.`
  const hint = saved.hint ? `: ${saved.hint}` : ''
  return {
    message: `${outcomes[saved.outcome]}${hint}. ${savedMoney(rules, name)}${limit}`,
    warning: warningOf(saved, name),
  }
}
