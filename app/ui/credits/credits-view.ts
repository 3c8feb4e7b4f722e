import { grantKindNames, type TransferKind } from '#app/domain/credits/credits.ts'
import type { CreditsStanding, MovementPage } from '#app/domain/credits/queries.server.ts'
import type { Said } from '#app/ui/billing/payment-view.ts'
import { exactMoney, money } from '#app/ui/money.ts'
import { utcDay, utcMinute } from '#app/ui/time.ts'

export interface CreditsView {
  /** Says first whether credits are drawn on at all. */
  intro: string
  figures: { label: string; value: string; note: string }[]
  grants: {
    id: string
    kind: string
    note: string
    granted: string
    amount: string
    left: string
    expires: string
    over: boolean
  }[]
  movements: { seq: string; at: string; what: string; from: string; amount: string; to: string | null }[]
  older: string | null
  isFirstPage: boolean
  lowCreditsUsd: string
  /** This person may, and the plan draws on credits. */
  canBuy: boolean
  canManage: boolean
  shortfall: string | null
  /** What a Checkout that this person comes back from came to; null: they do not. */
  bought: Said | null
}

const kindWords: Record<TransferKind, string> = {
  grant: 'Granted',
  hold: 'Held for a call',
  settle: 'Spent on a call',
  release: 'Given back by a call',
  expire: 'Expired',
  draw: 'Spent on usage',
}

const gains = new Set<TransferKind>(['grant', 'release'])

function introOf({ inUse, overage, monthlyPico }: CreditsStanding): string {
  if (!inUse)
    return 'This plan draws on no credits: what was granted earlier is kept, and used again under a plan that does.'
  const monthly = monthlyPico > 0n ? ` The plan brings ${money(monthlyPico)} each UTC month; they end with it.` : ''
  const beyond =
    overage === 'bill'
      ? ' What credits do not cover goes onto the invoice at the tier price.'
      : ' A call that they do not cover is refused.'
  return `Calls on the platform key and usage such as sandboxes draw on credits, at the tier price and the meters' prices.${monthly}${beyond} Calls on your own key draw none.`
}

function nextExpiry(standing: CreditsStanding): string {
  const first = standing.grants.find(
    (grant) => !grant.expired && grant.availablePico !== '0' && grant.expiresAt !== null,
  )
  return first?.expiresAt
    ? `${exactMoney(first.availablePico)} of it until ${utcDay(first.expiresAt)}`
    : 'none of it expires'
}

/** Exact, as credits are held: what was rounded up could be called left to spend where it is not. */
function figuresOf(standing: CreditsStanding): CreditsView['figures'] {
  return [
    {
      label: 'To spend',
      value: exactMoney(standing.availablePico),
      note: standing.availablePico > 0n ? nextExpiry(standing) : 'nothing left',
    },
    { label: 'Held', value: exactMoney(standing.heldPico), note: 'for calls that are running now' },
    { label: 'Spent', value: exactMoney(standing.spentPico), note: 'so far' },
    { label: 'Expired', value: exactMoney(standing.expiredPico), note: 'not used in time' },
  ]
}

interface CreditsInput {
  root: string
  standing: CreditsStanding
  page: MovementPage
  after: string | null
  canManage: boolean
  /** Names of meters by their ids. */
  meterNames: ReadonlyMap<string, string>
  bought: Said | null
}

export function toCreditsView({
  root,
  standing,
  page,
  after,
  canManage,
  meterNames,
  bought,
}: CreditsInput): CreditsView {
  const { shortfallPico, grants, lowCreditsUsd } = standing
  return {
    intro: introOf(standing),
    figures: figuresOf(standing),
    grants: grants.map((grant) => ({
      id: grant.id,
      kind: grantKindNames[grant.kind],
      note: grant.note,
      granted: utcMinute(grant.grantedAt),
      amount: exactMoney(grant.amountPico),
      left: grant.expired ? '–' : exactMoney(grant.availablePico),
      expires: grant.expiresAt ? utcMinute(grant.expiresAt) : 'never',
      over: grant.expired || grant.availablePico === '0',
    })),
    movements: page.movements.map(({ seq, at, kind, meter, grantKind, amountPico, callId }) => ({
      seq,
      at: utcMinute(at),
      what: meter ? `${kindWords[kind]}: ${meterNames.get(meter) ?? meter}` : kindWords[kind],
      from: grantKindNames[grantKind],
      amount: `${gains.has(kind) ? '+' : '−'}${exactMoney(amountPico)}`,
      to: callId && kind === 'settle' ? `${root}/calls/${callId}` : null,
    })),
    older: page.next && `?after=${page.next}`,
    isFirstPage: after === null,
    lowCreditsUsd,
    canBuy: canManage && standing.inUse,
    canManage,
    bought,
    shortfall:
      shortfallPico > 0n
        ? `${exactMoney(shortfallPico)} was used beyond all credits. Nobody pays for that; it is shown so that the sums add up.`
        : null,
  }
}
