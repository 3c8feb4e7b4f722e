import type { AuditPage, AuditRow } from '#app/domain/audit/queries.server.ts'
import { utcMinute } from '#app/ui/time.ts'
import { detailWords } from './audit-words.ts'

export interface AuditLine {
  seq: string
  at: string
  who: string
  what: string
  facts: (readonly [label: string, value: string])[]
  links: { label: string; to: string }[]
}

export interface AuditView {
  lines: AuditLine[]
  older: string | null
  isFirst: boolean
  verdict: { intact: boolean; text: string }
}

/** Every action that a workspace's trail may hold. */
export const actions: Record<string, string> = {
  'provider_key.saved': 'Saved a provider key',
  'provider_key.connected': 'Connected a provider account (OAuth)',
  'provider_key.replaced': 'Replaced a provider key',
  'provider_key.removed': 'Removed a provider key',
  'provider_key.purged': 'Destroyed a provider key',
  'provider_key.verified': 'The provider accepts the key',
  'provider_key.refused_by_provider': 'The provider refused the key',
  'provider_key.check_limit_reached': 'Tried as many keys as are allowed within minutes',
  'provider_key.enabled': 'Switched a provider key on',
  'provider_key.disabled': 'Switched a provider key off',
  'provider_key.changed': 'Changed what a provider key is for',
  'gateway_token.created': 'Created a gateway token',
  'gateway_token.revoked': 'Revoked a gateway token',
  'member.added': 'Added a member',
  'member.role_changed': 'Changed a role',
  'budget.created': 'Made a budget',
  'budget.changed': 'Changed a budget',
  'budget.removed': 'Removed a budget',
  'credits.granted': 'Granted credits',
  'checkout.started': 'Began a payment at Stripe',
  'workspace.created': 'Made the workspace',
  'workspace.plan_changed': 'The plan changed',
  'workspace.currency_set': 'Set the currency of invoices',
  'workspace.customer_linked': 'Linked a Stripe customer',
  'workspace.customer_released': 'Gave up a former Stripe customer',
  'workspace.suspended': 'Suspended the workspace: its Stripe customer is gone',
  'workspace.suspension_ended': 'Took calls of the workspace again',
  'workspace.ended': 'Ended the workspace',
  'workspace.never_platform_key_set': 'Set whether the platform key is never used',
  'workspace.fallback_allowed': 'Allowed a surface to fall back to the platform key',
  'workspace.fallback_forbidden': 'Stopped a surface from falling back to the platform key',
  'workspace.low_balance_set': 'Set below which balance of a key to be told',
  'workspace.low_credits_set': 'Set below how many credits to be told',
  'invoice_run.frozen': 'Fixed the lines of an invoice',
  'invoice_run.finalized': 'Issued an invoice',
  'invoice_run.approved': 'Approved an invoice before its time',
  'invoice_run.held': 'Held an invoice',
  'invoice_run.uncollectable': 'Found that an invoice cannot be collected: its Stripe customer is gone',
  'invoice_run.released': 'Released a held invoice',
  'invoice_run.settled': 'Marked an invoice as settled by hand',
  'invoice_run.adopted': 'Took Stripe’s invoice as it is',
  'invoice_run.corrected': 'Billed what was missing from an invoice',
  'credit_note.decided': 'Decided on a credit note',
  'difference.written_off': 'Wrote off a difference between the books',
}

/** Subjects that are people, named by the entry's id. */
const people = new Set(['member', 'user'])

const actors: Record<string, string> = {
  user: 'A former member',
  system: 'Keymargin',
  operator: 'An operator',
  token: 'A gateway token',
}

/** `provider_key.saved` → "Provider key saved", for actions that have no words of their own. */
const fallback = (action: string): string => {
  const words = action.replaceAll(/[._]/g, ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const linksOf = (root: string, { subjectType, subjectId, detail }: AuditRow): AuditLine['links'] => {
  const billing = `${root}/settings/billing`
  const to = (label: string, folder: string, id: unknown) => (id ? [{ label, to: `${billing}/${folder}/${id}` }] : [])
  const { nextRun, certificate } = detail
  return [
    ...to('Invoice', 'invoices', subjectType === 'invoice_run' && subjectId),
    ...to('Invoice that follows', 'invoices', nextRun !== subjectId && nextRun),
    ...to('Certificate of destruction', 'certificates', certificate),
  ]
}

/** @param root path of the workspace's pages */
export function toAuditView(root: string, page: AuditPage, isFirst: boolean): AuditView {
  const { verdict, names, currencies } = page
  const intact = verdict.brokenAt === null
  return {
    lines: page.rows.map((row) => ({
      seq: row.seq,
      at: utcMinute(row.at),
      who: row.actorName ?? actors[row.actorKind] ?? row.actorKind,
      what: actions[row.action] ?? fallback(row.action),
      facts: [
        ...(people.has(row.subjectType) ? [['Person', names[row.subjectId] ?? 'a former member'] as const] : []),
        ...detailWords(row.action, { detail: row.detail, names, currency: currencies[row.subjectId] ?? null }),
      ],
      links: linksOf(root, row),
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
