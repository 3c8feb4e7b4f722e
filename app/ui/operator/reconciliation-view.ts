import type { Reconciliation } from '#app/domain/billing/differences.server.ts'
import { providerIds } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { type Choice, providerName } from '#app/ui/analytics/analytics-view.ts'
import { ago } from '#app/ui/billing/keys/key-words.ts'
import { count, exactMoney } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'

interface DifferenceView {
  id: string
  what: string
  workspace: string
  expected: string
  actual: string
  money: string
  /** Integer, or empty: goes back as it came. */
  moneyPico: string
  since: string
  seen: string
}

export interface ReconciliationView {
  differences: DifferenceView[]
  /** Said where more stand than are listed. */
  more: string | null
  /** The one that an operator is about to write off. */
  closing: DifferenceView | null
  writtenOff: {
    id: string
    what: string
    workspace: string
    actual: string
    money: string
    reason: string
    at: string
  }[]
  held: { key: string; provider: string; model: string; calls: string; oldest: string; newest: string }[]
  reports: { key: string; provider: string; account: string; days: string; cost: string; imported: string }[]
  providers: Choice[]
}

export const differenceKinds: Record<string, string> = {
  ledger_rollups: 'Daily sums and calls',
  invoice_calls: 'Invoice and calls',
  credits: 'Credits and their transfers',
  provider_usage: 'Provider’s report and ledger',
  generation: 'Provider’s record and call',
  stripe_lines: 'Invoice and Stripe',
  unknown_invoice: 'Invoice unknown here',
  second_invoice: 'Two invoices of one run',
}

const signed = (amount: string, currency: string): string =>
  `${BigInt(amount) > 0n ? '+' : ''}${exactMoney(amount, currency)}`

const nameOf = (kind: string): string => differenceKinds[kind] ?? kind.replaceAll('_', ' ')
const moneyOf = ({ moneyPico, currency }: { moneyPico: string | null; currency: string }): string =>
  moneyPico === null ? '–' : signed(moneyPico, currency)

/** @param asked the difference that is about to be written off */
export function toReconciliationView(
  { differences, open, writtenOff, held, reports }: Reconciliation,
  now: Date,
  asked: string | null,
): ReconciliationView {
  const rows = differences.map((row) => ({
    id: row.id,
    what: nameOf(row.kind),
    workspace: row.workspace ?? '–',
    expected: row.expected,
    actual: row.actual,
    money: moneyOf(row),
    moneyPico: row.moneyPico ?? '',
    since: utcMinute(row.foundAt),
    seen: ago(row.seenAt, now),
  }))
  return {
    differences: rows,
    more: open > rows.length ? `${rows.length} of ${open} differences are listed, the last seen first.` : null,
    closing: rows.find(({ id }) => id === asked) ?? null,
    writtenOff: writtenOff.map((row) => ({
      ...{ id: row.id, what: nameOf(row.kind), workspace: row.workspace ?? '–', actual: row.actual },
      ...{ money: moneyOf(row), reason: row.reason, at: utcMinute(row.at) },
    })),
    held: held.map((row) => ({
      key: `${row.provider} ${row.model}`,
      provider: providerName(row.provider),
      model: row.model,
      calls: count(row.calls),
      oldest: ago(row.oldest, now),
      newest: ago(row.newest, now),
    })),
    reports: reports.map((row) => ({
      key: `${row.provider} ${row.account}`,
      provider: providerName(row.provider),
      account: row.account === 'platform' ? 'Platform' : row.account,
      days: `${row.from} to ${row.to}`,
      cost: exactMoney(row.costPico),
      imported: ago(row.importedAt, now),
    })),
    providers: providerIds.map((id) => ({ value: id, label: providerOf(id).name })),
  }
}
