import type { PlanComparison } from '#app/domain/analytics/counterfactual.server.ts'
import type { RunState } from '#app/domain/billing/billing.ts'
import type { InvoiceSummary, UsageThisMonth } from '#app/domain/billing/queries.server.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import { displayMinor } from '#app/domain/pricing/currency.ts'
import type { PurgeCertificate } from '#app/domain/vault/vault.ts'
import { type CalendarMonth, monthName } from '#app/platform/calendar-month.ts'
import { modeNames, percentOfBp } from '#app/ui/charge-words.ts'
import { centsThatAddUp, count, counted, exactMoney, money } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'
import type { KeysView } from './keys/keys-view.ts'
import type { LeavingView } from './leaving-view.ts'
import type { PaymentView } from './payment-view.ts'
import type { RoutingView, StuckView } from './routing-view.ts'

export interface UsagePart {
  label: string
  amount: string
  exact: string
  calls: string
  sentence: string
}

export interface UsageView {
  month: string
  parts: UsagePart[]
  total: string
  totalExact: string
  /** What stands on the invoice beside the calls, and all of it together; null: nothing does. */
  beside: { lines: { what: string; amount: string; exact: string }[]; total: string; totalExact: string } | null
  held: string | null
}

export interface InvoiceRow {
  to: string
  id: string
  month: string
  number: string
  status: string
  tone: 'gray' | 'teal' | 'yellow' | 'red'
  calls: string
  total: string
}

export interface CertificateRow {
  to: string
  id: string
  hint: string
  cause: string
  at: string
}

export interface BillingView {
  planName: string
  /** Null: the plan allows no keys. */
  keys: KeysView | null
  routing: RoutingView | null
  stuck: StuckView | null
  /** null: the person may not read invoices. */
  payment: PaymentView | null
  money: { usage: UsageView; invoices: InvoiceRow[] } | null
  certificates: CertificateRow[]
  /** A scheduled change of plan that will destroy keys; null: none. */
  leaving: LeavingView | null
  /** The last 30 days without and with a key of their own; null: nothing to compare. */
  beforeKey: string | null
}

const stripeWords: Record<string, [string, InvoiceRow['tone']]> = {
  draft: ['Draft', 'gray'],
  open: ['Open, awaiting payment', 'yellow'],
  paid: ['Paid', 'teal'],
  void: ['Voided', 'gray'],
  uncollectible: ['Not collectible', 'red'],
}

const stateWords: Record<RunState, [string, InvoiceRow['tone']]> = {
  frozen: ['Being prepared', 'gray'],
  writing: ['Being prepared', 'gray'],
  review: ['Being prepared', 'gray'],
  done: ['Issued', 'teal'],
  done_zero: ['Nothing owed', 'gray'],
  carried: ['Carried to the next month', 'gray'],
  held: ['On hold, we are looking into it', 'yellow'],
  uncollectable: ['Not collected', 'red'],
  superseded: ['Replaced by a newer one', 'gray'],
  settled: ['Settled directly with us', 'gray'],
}

export const invoiceStatus = (invoice: Pick<InvoiceSummary, 'state' | 'stripeStatus'>): [string, InvoiceRow['tone']] =>
  (invoice.state === 'done' && invoice.stripeStatus && stripeWords[invoice.stripeStatus]) || stateWords[invoice.state]

export const causeWords: Record<string, string> = {
  plan_changed: 'The workspace left the plan that allows own keys',
  subscription_ended: 'The subscription ended',
  customer_deleted: 'The billing customer was deleted',
  paused_too_long: 'The subscription was paused for 30 days',
  workspace_ended: 'The workspace was ended',
}

/** `provider`: the only one that the plan allows; null where there may be several. */
const chargesIt = (provider: string | null): string =>
  provider
    ? `What the calls on your own key cost. ${provider} charges it to your account there.`
    : 'What the calls on your own keys cost. Each provider charges it to your account there.'

interface UsageRules {
  /** The plan allows keys of the workspace's own. */
  ownKeys: boolean
  /** The only provider that the plan allows; null where there may be several. */
  provider: string | null
  platformChargeMode: PlanRules['platformChargeMode']
  workspaceChargeMode: PlanRules['workspaceChargeMode']
  workspaceMarkupBp: number
}

const platformWords: Record<PlanRules['platformChargeMode'], string> = {
  tier: 'Our key paid for these calls. You owe the published tier price per token: it covers the model and our surcharge.',
  markup: 'Our key paid for these calls. You owe what the provider charged for them.',
  credits:
    'Our key paid for these calls. Their tier price came out of your credits; only what credits did not cover is on the invoice.',
  none: 'Our key paid for these calls, under an earlier plan.',
}

function ownWords({ workspaceChargeMode, workspaceMarkupBp }: UsageRules): string {
  switch (workspaceChargeMode) {
    case 'pass_through':
      return 'Your keys paid for these calls. This plan charges nothing for them.'
    case 'flat_fee':
      return 'Your keys paid for these calls. They draw no credits; the monthly fee stands on the invoice by itself.'
    case 'markup':
      return `Your keys paid for these calls. You owe ${percentOfBp(workspaceMarkupBp)} of what your provider charged you; of a free model, of the lowest rate that anybody pays for it.`
    default:
      return 'Your key paid for these calls. You owe the tier price less what your provider charged you, never below $0 for any call.'
  }
}

function besideCalls({ feePico, usagePico, correctionPico, exactPico, currency }: UsageThisMonth): UsageView['beside'] {
  const lines = [
    {
      what:
        currency === 'usd'
          ? 'Fee for a key, where it stays enabled until the month ends'
          : `Fee for a key: reckoned in USD, so it is not charged in ${currency.toUpperCase()} before your operator has looked at it`,
      pico: BigInt(feePico),
    },
    { what: 'Usage that is no call', pico: BigInt(usagePico) },
    { what: 'Corrections of calls that were charged before', pico: BigInt(correctionPico) },
  ].filter(({ pico }) => pico !== 0n)
  const all = lines.reduce((sum, { pico }) => sum + pico, BigInt(exactPico))
  if (!lines.length) return null
  return {
    lines: lines.map(({ what, pico }) => ({ what, amount: money(pico, currency), exact: exactMoney(pico, currency) })),
    total: centsThatAddUp([all], currency).total,
    totalExact: exactMoney(all, currency),
  }
}

/** Three sums, each with the sentence that explains it where it stands. The first two add up to the total, to the cent. */
export function toUsageView(usage: UsageThisMonth, rules: UsageRules): UsageView {
  const { provider, platformChargeMode, workspaceChargeMode } = rules
  const { currency } = usage
  const { parts, total } = centsThatAddUp([BigInt(usage.platformPricePico), BigInt(usage.marginPico)], currency)
  const billed = centsThatAddUp([BigInt(usage.providerBilledPico)])
  // A plan without own keys, before which there was none this month: sums of such calls mean nothing to who reads them.
  const knowsKeys = rules.ownKeys || usage.ownKeyCalls !== '0'
  const credits = usage.creditPico === '0' ? '' : `, and ${exactMoney(usage.creditPico)} from credits`
  return {
    month: monthName(usage.month),
    parts: [
      {
        label: platformChargeMode === 'none' ? 'On the platform key' : modeNames[platformChargeMode],
        amount: platformChargeMode === 'credits' ? money(usage.creditPico) : (parts[0] ?? ''),
        exact:
          platformChargeMode === 'credits'
            ? `${exactMoney(usage.creditPico)} from credits, and ${exactMoney(usage.platformPricePico)} on the invoice`
            : `${exactMoney(usage.platformPricePico, currency)}${credits}`,
        calls: `${counted(usage.platformCalls, 'call')} on the platform key`,
        sentence: platformWords[platformChargeMode],
      },
      {
        label: workspaceChargeMode === 'tier_margin' ? 'Margin only' : 'On your own keys',
        amount: parts[1] ?? '',
        exact: exactMoney(usage.marginPico, currency),
        calls: `${counted(usage.ownKeyCalls, 'call')} on your own key`,
        sentence: ownWords(rules),
      },
      {
        label: `Billed to you by ${provider ?? 'your providers'}`,
        amount: billed.total,
        exact: exactMoney(usage.providerBilledPico),
        calls: 'not on our invoice',
        sentence: chargesIt(provider),
      },
    ].slice(0, knowsKeys ? 3 : 1),
    total,
    totalExact: exactMoney(usage.exactPico, currency),
    beside: besideCalls(usage),
    held:
      usage.heldCalls === '0'
        ? null
        : `${counted(usage.heldCalls, 'call')} ${usage.heldCalls === '1' ? 'is' : 'are'} not in these sums yet: what the provider charged is not known so far. They are added once it is.`,
  }
}

export function toInvoiceRow(root: string, invoice: InvoiceSummary): InvoiceRow {
  const [status, tone] = invoiceStatus(invoice)
  return {
    to: `${root}/settings/billing/invoices/${invoice.runId}`,
    id: invoice.runId,
    month: monthName(invoice.month as CalendarMonth),
    number: invoice.stripeInvoiceNumber ?? '–',
    status,
    tone,
    calls: count(invoice.calls),
    total: displayMinor(BigInt(invoice.totalCents), invoice.currency),
  }
}

export const toCertificateRow = (root: string, certificate: PurgeCertificate): CertificateRow => ({
  to: `${root}/settings/billing/certificates/${certificate.id}`,
  id: certificate.id,
  hint: certificate.hint || 'no hint',
  cause: causeWords[certificate.cause] ?? certificate.cause,
  at: utcMinute(certificate.purgedAt),
})

/** Beside the field for a first key: what it would have changed. @param currency what the workspace is billed in */
export function beforeKeyWords(compared: PlanComparison | null, currency: string): string | null {
  if (currency !== 'usd')
    return `What a key of your own would have changed is not worked out: providers bill in US dollars, your prices are in ${currency.toUpperCase()}, and no rate between them is kept.`
  const { platform, ownKey } = compared ?? {}
  const calls = platform?.parts.reduce((sum, part) => sum + part.sums.calls, 0n) ?? 0n
  if (!platform || !ownKey || calls === 0n) return null
  const here = ownKey.totalPico - ownKey.providerPico
  return `Your last 30 days (${counted(calls, 'call')}) come to ${money(platform.totalPico)} on the platform key. With a key of your own they come to ${money(ownKey.totalPico)}: ${money(here)} here and ${money(ownKey.providerPico)} at your provider.`
}
