import type {
  CheckoutOutcome,
  PaymentState,
  PlanOnSale,
  ReversalView,
} from '#app/domain/billing/payment-queries.server.ts'
import { displayMinor } from '#app/domain/pricing/currency.ts'
import { displayCents } from '#app/platform/pico.ts'
import { counted } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'

export type Tone = 'teal' | 'yellow' | 'red'

export interface Said {
  tone: Tone
  text: string
}

export interface PaymentView {
  /** Where the forms go. */
  action: string
  /** How invoices are paid, in words. */
  method: string
  /** What is wrong or planned, most urgent first. */
  notes: Said[]
  /** Where what is owed can be paid at once. */
  payUrl: string | null
  /** What just happened at Checkout or in the portal; null: nobody comes from there. */
  outcome: Said | null
  /** Plans to buy where there is no subscription; empty where the portal changes it. */
  plans: { id: string; name: string }[]
  portal: boolean
  canManage: boolean
  reversals: { id: string; what: string; amount: string; at: string }[]
}

const kinds: Record<string, string> = { sepa_debit: 'Bank debit', us_bank_account: 'Bank debit', link: 'Link' }

const nameOf = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1).replaceAll('_', ' ')

function methodWords({ method, readAt, hasCustomer }: PaymentState): string {
  if (!hasCustomer) return 'No payment method yet: Checkout asks for one, or your operator sets it up.'
  if (readAt === null) return 'The payment method is not known here yet: it is read from Stripe within the hour.'
  if (!method) return 'No payment method is saved. Invoices stay open until one is.'
  const name = method.kind === 'card' ? nameOf(method.brand ?? 'card') : (kinds[method.kind] ?? nameOf(method.kind))
  const end = method.last4 ? ` ending in ${method.last4}` : ''
  return `${name}${end}${method.expires ? `, valid until ${method.expires}` : ''}`
}

const expiryNote = (method: PaymentState['method']): Said[] => {
  if (method?.expiry === 'expired')
    return [{ tone: 'red', text: 'The saved card has expired. Change it before the next invoice.' }]
  if (method?.expiry === 'expiring')
    return [{ tone: 'yellow', text: 'The saved card expires soon. Change it before the next invoice.' }]
  return []
}

function dunningNote({ dunning, currency }: PaymentState): Said[] {
  if (!dunning) return []
  const next = dunning.nextAttemptAt
    ? `It is tried again at ${utcMinute(dunning.nextAttemptAt)}; until then plan and keys stay.`
    : 'It is not tried again by itself.'
  const tried = counted(String(dunning.attempts), 'attempt')
  const text = `${displayMinor(BigInt(dunning.owedCents), currency)} could not be collected since ${utcMinute(dunning.since)} (${tried}). ${next}`
  return [{ tone: 'red', text }]
}

const statusNotes: Record<string, Said> = {
  paused: {
    tone: 'yellow',
    text: 'The subscription is paused. AI inference keys are switched off, and destroyed after 30 days of it.',
  },
  unpaid: {
    tone: 'red',
    text: 'The subscription is unpaid: Stripe has stopped trying. Paying the open invoice brings the plan back, not the keys.',
  },
  incomplete: { tone: 'yellow', text: 'The subscription begins when its first invoice is paid, within 23 hours.' },
}

function notesOf(state: PaymentState): Said[] {
  const status = statusNotes[state.subscriptionStatus ?? '']
  const { scheduled, pendingPlanName } = state
  return [
    ...(state.suspendedAt
      ? [
          {
            tone: 'red' as const,
            text: 'This workspace is suspended: its billing account was deleted. Write to us to let it go on.',
          },
        ]
      : []),
    ...dunningNote(state),
    ...(status ? [status] : []),
    ...(pendingPlanName
      ? [{ tone: 'yellow' as const, text: `The plan ${pendingPlanName} begins when its invoice is paid.` }]
      : []),
    ...(scheduled
      ? [{ tone: 'yellow' as const, text: `The plan changes to ${scheduled.planName} at ${utcMinute(scheduled.at)}.` }]
      : []),
    ...expiryNote(state.method),
  ]
}

/** What Checkout came to, as Stripe has it. */
export function checkoutWords(outcome: CheckoutOutcome): Said | null {
  if (outcome.kind === 'unknown') return null
  const { kind, status, paymentStatus, amountCents, planName } = outcome
  const bought =
    kind === 'plan' ? `the plan ${planName ?? ''}` : `${displayCents(BigInt(amountCents ?? '0'))} of credits`
  if (status === 'complete' && paymentStatus === 'paid')
    return { tone: 'teal', text: kind === 'plan' ? `Paid: ${bought} is yours.` : `Paid: ${bought} are yours.` }
  if (status === 'complete')
    return {
      tone: 'yellow',
      text: `Ordered: ${bought}. The bank has not paid yet, which can take days; it counts from then on.`,
    }
  if (status === 'expired') return { tone: 'yellow', text: 'That Checkout has expired. Nothing was paid.' }
  return { tone: 'yellow', text: 'Checkout was left before anything was paid.' }
}

const reversalWords: Record<ReversalView['kind'], string> = {
  credit_note: 'Credit note',
  refund: 'Refund',
  dispute: 'Dispute',
}

export interface PaymentInput {
  root: string
  state: PaymentState
  plans: PlanOnSale[]
  reversals: ReversalView[]
  outcome: Said | null
  canManage: boolean
}

export function toPaymentView({ root, state, plans, reversals, outcome, canManage }: PaymentInput): PaymentView {
  const buys = canManage && !state.hasSubscription && !state.suspendedAt
  return {
    action: `${root}/settings/billing/payment`,
    method: methodWords(state),
    notes: notesOf(state),
    payUrl: canManage ? (state.dunning?.payUrl ?? null) : null,
    outcome,
    plans: buys ? plans.map(({ id, name }) => ({ id, name })) : [],
    portal: canManage && state.hasCustomer && !state.suspendedAt,
    canManage,
    reversals: reversals.map((one) => ({
      id: one.id,
      what: [reversalWords[one.kind], one.number, one.status === 'void' ? 'voided' : null].filter(Boolean).join(' '),
      amount: displayMinor(BigInt(one.amountCents), one.currency),
      at: utcMinute(one.at),
    })),
  }
}
