import { grantKindNames } from '#app/domain/credits/credits.ts'
import type { CreditsOverview } from '#app/domain/credits/operator-queries.server.ts'
import { exactMoney } from '#app/ui/money.ts'
import { utcDay, utcMinute } from '#app/ui/time.ts'

export interface OperatorCreditsView {
  /** Made for the form: the same form sent twice grants once. */
  formId: string
  /** What was looked for, and whom the form begins with. */
  find: string
  workspace: string
  workspaces: {
    slug: string
    name: string
    plan: string
    available: string
    held: string
    shortfall: string
    expiry: string
  }[]
  grants: {
    id: string
    workspace: string
    slug: string
    kind: string
    amount: string
    left: string
    granted: string
    by: string
    expires: string
    note: string
  }[]
  moreWorkspaces: boolean
  moreGrants: boolean
}

const byWords: Record<string, string> = { system: 'Keymargin', '': 'not known' }

export function toOperatorCreditsView(
  { workspaces, grants, moreWorkspaces, moreGrants }: CreditsOverview,
  form: Pick<OperatorCreditsView, 'formId' | 'find' | 'workspace'>,
): OperatorCreditsView {
  return {
    ...form,
    moreWorkspaces,
    moreGrants,
    workspaces: workspaces.map((row) => ({
      slug: row.slug,
      name: row.name,
      plan: row.inUse ? row.plan : `${row.plan}, which draws on none`,
      available: exactMoney(row.availablePico),
      held: exactMoney(row.heldPico),
      shortfall: row.shortfallPico === '0' ? 'none' : exactMoney(row.shortfallPico),
      expiry: row.nextExpiry ? utcDay(row.nextExpiry) : 'never',
    })),
    grants: grants.map((row) => ({
      id: row.id,
      workspace: row.workspace,
      slug: row.slug,
      kind: grantKindNames[row.kind],
      amount: exactMoney(row.amountPico),
      left: row.expired ? 'expired' : exactMoney(row.availablePico),
      granted: utcMinute(row.grantedAt),
      by: byWords[row.grantedBy] ?? row.grantedBy,
      expires: row.expiresAt ? utcMinute(row.expiresAt) : 'never',
      note: row.note,
    })),
  }
}
