import type { AuditPage } from '#app/domain/audit/queries.server.ts'
import { utcMinute } from '#app/ui/time.ts'

export interface AuditLine {
  seq: string
  at: string
  who: string
  what: string
  detail: string
}

export interface AuditView {
  lines: AuditLine[]
  older: string | null
  isFirst: boolean
  verdict: { intact: boolean; text: string }
}

const actions: Record<string, string> = {
  'provider_key.saved': 'Saved a provider key',
  'provider_key.connected': 'Connected a provider account (OAuth)',
  'provider_key.replaced': 'Replaced the provider key',
  'provider_key.removed': 'Removed the provider key',
  'provider_key.purged': 'Destroyed the provider key',
  'provider_key.verified': 'Provider key was verified',
  'provider_key.refused_by_provider': 'Provider refused the key',
  'provider_key.check_limit_reached': 'Tried as many keys as are allowed within minutes',
  'provider_key.enabled': 'Switched a provider key on',
  'provider_key.disabled': 'Switched a provider key off',
  'provider_key.changed': 'Changed what a provider key is for',
  'gateway_token.created': 'Created a gateway token',
  'gateway_token.revoked': 'Revoked a gateway token',
  'member.role_changed': 'Changed a role',
  'workspace.plan_changed': 'Plan changed',
  'workspace.never_platform_key_set': 'Set whether the platform key is never used',
  'workspace.fallback_allowed': 'Allowed a surface to fall back to the platform key',
  'workspace.fallback_forbidden': 'Stopped a surface from falling back to the platform key',
  'workspace.low_balance_set': 'Set below which balance of a key to be told',
  'workspace.low_credits_set': 'Set below how many credits to be told',
  'invoice_run.frozen': 'Fixed the lines of an invoice',
  'invoice_run.finalized': 'Issued an invoice',
  'invoice_run.released': 'Released a held invoice',
}

const actors: Record<string, string> = { system: 'Keymargin', operator: 'An operator', token: 'A gateway token' }

/** `provider_key.saved` → "Provider key saved", for actions that have no words of their own. */
const fallback = (action: string): string => {
  const words = action.replaceAll(/[._]/g, ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const detailText = (detail: Record<string, unknown>): string =>
  Object.entries(detail)
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => `${name.replaceAll(/([A-Z])/g, ' $1').toLowerCase()}: ${value}`)
    .join(', ')

export function toAuditView(page: AuditPage, isFirst: boolean): AuditView {
  const { verdict } = page
  const intact = verdict.brokenAt === null
  return {
    lines: page.rows.map((row) => ({
      seq: row.seq,
      at: utcMinute(row.at),
      who: actors[row.actor] ?? row.actor,
      what: actions[row.action] ?? fallback(row.action),
      detail: detailText(row.detail),
    })),
    older: page.next,
    isFirst,
    verdict: {
      intact,
      text: intact
        ? `All ${verdict.entries} entries are intact: each carries the fingerprint of the one before.`
        : `Entry ${verdict.brokenAt} does not fit the one before it: something changed the trail from outside. Tell your operator.`,
    },
  }
}
