import { DIFFERENCES_IN_DOLLARS } from '#app/domain/billing/billing.ts'
import { periodNames, scopeNames } from '#app/domain/budgets/budgets.ts'
import { grantKindNames } from '#app/domain/credits/credits.ts'
import { roleNames } from '#app/domain/permissions/permissions.ts'
import { displayMinor } from '#app/domain/pricing/currency.ts'
import { type ProbeReason, reasonText } from '#app/domain/providers/probe-reasons.ts'
import { isProviderId } from '#app/domain/providers/provider.ts'
import { type CalendarMonth, monthName } from '#app/platform/calendar-month.ts'
import { parsePico, picoToUsd } from '#app/platform/pico.ts'
import { scrubSecrets } from '#app/platform/secret-patterns.ts'
import { providerName } from '#app/ui/analytics/analytics-view.ts'
import { causeWords } from '#app/ui/billing/billing-view.ts'
import { exactMoney } from '#app/ui/money.ts'
import { differenceKinds } from '#app/ui/operator/reconciliation-view.ts'
import { creditReasons, resolutionWords } from '#app/ui/operator/run-view.ts'

/** What the words of an entry's values may need to know of the entry. */
export interface About {
  detail: Record<string, unknown>
  /** Of people, tokens, keys, plans and surfaces, by their ids. */
  names: Record<string, string>
  /** Of the invoice that the entry is about; null where that is not known. */
  currency: string | null
}

interface Field {
  label: string
  /** The value in words. */
  say: (value: string, about: About) => string
}

const plain = (value: string): string => value
const own = (known: Record<string, string>, value: string): string | undefined =>
  Object.hasOwn(known, value) ? known[value] : undefined
const named = (value: string, { names }: About): string => own(names, value) ?? value
/** A code in words; what a person wrote stays as it is. */
const words = (value: string): string => (/^[a-z_]+$/.test(value) ? value.replaceAll('_', ' ') : value)
const among = (known: Record<string, string>) => (value: string) => own(known, value) ?? words(value)
const yes = (value: string): string => (value === 'true' ? 'yes' : 'no')
const list = (value: string, about: About): string =>
  value
    ? value
        .split(' ')
        .map((one) => named(one, about))
        .join(', ')
    : 'all'
const month = (value: string): string => (/^\d{4}-\d\d$/.test(value) ? monthName(value as CalendarMonth) : value)
const whole = /^-?\d+$/
const minor = (value: string, { currency }: About): string =>
  currency && whole.test(value) ? displayMinor(BigInt(value), currency) : value
const probeReason = (value: string, { detail }: About): string => {
  const provider = String(detail.provider)
  return isProviderId(provider) ? reasonText(provider, value as ProbeReason) : words(value)
}
const amount = (value: string, currency: unknown): string => {
  const pico = parsePico(value)
  return pico === undefined ? value : exactMoney(pico, String(currency ?? 'usd'))
}
/** Older entries do not say their currency: a number without a sign, but for what is in dollars always. */
function difference(value: string, { detail }: About): string {
  if (!whole.test(value)) return value
  const currency = detail.currency ?? (DIFFERENCES_IN_DOLLARS.has(String(detail.kind)) ? 'usd' : null)
  return currency === null ? picoToUsd(BigInt(value)).replace('-', '−') : exactMoney(value, String(currency))
}
const dollars = (value: string): string => amount(value, 'usd')

/** What makes a grant one that is given once: a month's plan, a payment, or the form that an operator sent. */
function grantReference(value: string, about: About): string {
  const [, from = '', id = ''] = /^([^:]*):(.*)$/s.exec(value) ?? []
  if (from === 'operator') return `by hand, in the operator console (form ${id})`
  if (from === 'stripe') return causeOf(id)
  return /^\d{4}-\d\d$/.test(from) ? `plan ${named(id, about)}, ${month(from)}` : value
}

const field = (label: string, say: Field['say'] = plain): Field => ({ label, say })

const causes = among({ ...causeWords, sweep: 'Stripe was read again', portal: 'Changed at Stripe' })
/** Of what came from Stripe an entry has the id alone: it is there to be looked up, and told as what it is. */
const causeOf = (value: string): string => {
  if (value.startsWith('evt_')) return `Stripe told us (event ${value})`
  return value.startsWith('cs_') ? `A payment at Stripe (${value})` : causes(value)
}

/** Members of an entry's detail by their names, in the order in which they are told; they mean the same in every action but those of `ofAction`. */
const fields: Record<string, Field | null> = {
  name: field('Name', (value) => value || 'none'),
  provider: field('Provider', providerName),
  hint: field('Key'),
  displayStart: field('Begins with'),
  email: field('E-mail'),
  role: field('Role', among(roleNames)),
  slug: field('Short name'),
  scope: field('For', among(scopeNames)),
  scopeId: field('Which one', named),
  period: field('Counted per', among(periodNames)),
  limitAmount: field('Limit', (value, { detail }) => amount(value, detail.currency)),
  hard: field('At its limit', (value) => (value === 'true' ? 'refuses calls that do not fit' : 'only tells')),
  countsOwnKey: field('Counts what providers bill own keys', yes),
  surface: field('Surface', named),
  dailyCapUsd: field('At most per UTC day', dollars),
  on: field('Calls on the platform key', (value) => (value === 'true' ? 'refused' : 'allowed')),
  usd: field('Amount', dollars),
  enabled: field('Switched', (value) => (value === 'true' ? 'on' : 'off')),
  position: field('Place among the provider’s keys', (value) =>
    whole.test(value) ? String(Number(value) + 1) : value,
  ),
  models: field('Models', list),
  surfaces: field('Surfaces', list),
  verification: field(
    'Check',
    among({ valid: 'valid', restricted: 'valid, with limits', unverified: 'could not be checked yet' }),
  ),
  version: field('Version'),
  checks: field('Keys tried'),
  minutes: field('Within minutes'),
  month: field('Month', month),
  number: field('Number'),
  kind: field('Kind', words),
  outcome: field(
    'Outcome',
    among({ bill: 'goes to Stripe', done_zero: 'nothing owed', carried: 'too little to charge: carried over' }),
  ),
  totalCents: field('Total', minor),
  frozenCents: field('Fixed here', minor),
  billedCents: field('Stripe’s invoice', minor),
  amountCents: field('Amount', minor),
  moneyPico: field('Differs by', difference),
  purpose: field('For', among({ plan: 'a plan', top_up: 'credits' })),
  plan: field('Plan', named),
  cents: field('Amount', (value) => minor(value, { detail: {}, names: {}, currency: 'usd' })),
  customer: field('Stripe customer'),
  runsKept: field('Invoices that stay with the customer of before'),
  resolution: field('Decided', among(resolutionWords)),
  back: field('What was paid goes', among({ balance: 'onto the balance at Stripe', refund: 'back as it was paid' })),
  cause: field('Cause', causeOf),
  reason: field('Reason', words),
  reference: field('Reference'),
  note: field('Note'),
  invoice: field('Stripe’s id'),
  currency: field('Currency', (value) => value.toUpperCase()),
  // What the entry links to, or its page shows.
  certificate: null,
  creditNote: null,
  linesHash: null,
  nextRun: null,
}

/** Where a name means something else, or more can be said. */
const ofAction: Record<string, Record<string, Field | null>> = {
  'credit_note.decided': { reason: field('Reason', among(creditReasons)) },
  'invoice_run.released': { reason: field('Held for', among({ operator_hold: 'an operator’s decision' })) },
  'credits.granted': { kind: field('Kind', among(grantKindNames)), reference: field('Granted', grantReference) },
  'difference.written_off': {
    kind: field('What differed', among(differenceKinds)),
    reason: field('Reason'),
    currency: null,
  },
  'provider_key.refused_by_provider': { reason: field('Reason', probeReason) },
  'provider_key.verified': { reason: null },
  'member.role_changed': { to: field('Role', among(roleNames)), from: null },
  'workspace.currency_set': { to: field('Currency', (value) => value.toUpperCase()), from: null },
  'workspace.low_balance_set': { usd: field('Told below', dollars) },
  'workspace.low_credits_set': { usd: field('Told below', dollars) },
  'workspace.plan_changed': { to: field('Plan', named), from: null },
}

/** Under which name an entry has what stood there before. */
const earlierName: Record<string, string> = { to: 'from', customer: 'before' }

const order = Object.keys(fields)
const place = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length)
const isEmpty = (value: unknown): boolean => value === undefined || value === null || value === ''

/** `lowBalanceUsd` → "Low balance usd", for what has no words of its own. */
const spelled = (name: string): Field => {
  const text = name.replaceAll(/([A-Z])/g, ' $1').toLowerCase()
  return field(text.charAt(0).toUpperCase() + text.slice(1))
}

/** Null: not to be shown. */
function fieldOf(action: string, name: string): Field | null {
  const here = ofAction[action]?.[name]
  if (here !== undefined) return here
  const known = fields[name]
  return known === undefined ? spelled(name) : known
}

/** The entry's detail as labels and values, what stood there before included: `["Limit", "$5.00 → $10.00"]`. */
export function detailWords(action: string, about: About): [label: string, value: string][] {
  const { detail } = about
  const earlierOf = (name: string) => earlierName[name] ?? `${name}Before`
  const names = Object.keys(detail).sort((a, b) => place(a) - place(b))
  const before = new Set(names.map(earlierOf))
  return names.flatMap((name): [string, string][] => {
    const [now, was] = [detail[name], detail[earlierOf(name)]]
    const as = before.has(name) ? null : fieldOf(action, name)
    if (!as || (isEmpty(now) && isEmpty(was))) return []
    const text = (value: unknown) => scrubSecrets(as.say(String(value ?? ''), about))
    const earlier = was === undefined ? '' : text(was)
    return [[as.label, earlier ? `${earlier} → ${text(now)}` : text(now)]]
  })
}
