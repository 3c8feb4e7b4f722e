import type { Resolution } from '#app/domain/billing/billing.ts'
import type { OperatedInvoice } from '#app/domain/billing/operate-invoice.server.ts'
import { displayExact, displayMinor, minorDigits } from '#app/domain/pricing/currency.ts'
import { monthName } from '#app/platform/calendar-month.ts'
import { AppError } from '#app/platform/errors.ts'
import { parseDecimal } from '#app/platform/pico.ts'
import { count } from '#app/ui/money.ts'
import type { Tone } from '#app/ui/status-badge.tsx'
import { utcMinute } from '#app/ui/time.ts'
import { detailOf, runStates } from './runs-view.ts'

export interface RunView {
  runId: string
  workspaceId: string
  title: string
  state: string
  tone: Tone
  total: string
  hostedUrl: string | null
  facts: [label: string, value: string][]
  remedy: string | null
  detail: string | null
  resolutions: { resolution: Resolution; label: string; note: boolean }[]
  unfinished: boolean
  /** When the draft is finalised on its own; null: it waits for nobody. */
  goesOut: string | null
  lines: {
    key: string
    field: string
    description: string
    calls: string
    exact: string
    amount: string
    credited: string
    /** What can still be given back of it; null: nothing. */
    left: string | null
  }[]
  creditable: boolean
  creditNotes: { key: string; number: string; amount: string; state: string; memo: string; at: string }[]
  reasons: { value: string; label: string }[]
}

export const resolutionWords: Record<Resolution, string> = {
  resume: 'Resume',
  reissue: 'Re-issue',
  adopt: 'Take Stripe’s invoice as it is',
  settle: 'Mark as settled by hand',
  correct: 'Take it, and bill what is missing',
}

/** Stripe's codes of why a credit note is given. */
export const creditReasons: Record<string, string> = {
  order_change: 'Changed afterwards',
  duplicate: 'Billed twice',
  product_unsatisfactory: 'Not as it should have been',
  fraudulent: 'Fraudulent',
}

const noteStates: Record<string, string> = { planned: 'Being issued', issued: 'Issued', refused: 'Refused by Stripe' }

export function toRunView(operated: OperatedInvoice): RunView {
  const { invoice, lines, resolutions, unfinished, creditable, creditNotes, lastMonthCents } = operated
  const { currency } = invoice
  const money = (minor: string) => displayMinor(BigInt(minor), currency)
  const exact = (pico: string) => displayExact(BigInt(pico), currency)
  const optional = (label: string, value: string | null): [string, string][] => (value ? [[label, value]] : [])
  const [state, tone] = runStates[invoice.state]
  return {
    runId: invoice.runId,
    workspaceId: invoice.workspaceId,
    title: `${invoice.workspaceName}, ${monthName(invoice.month)}${invoice.kind === 'correction' ? ', correction' : ''}`,
    state: `${state}${invoice.stripeStatus ? ` (${invoice.stripeStatus})` : ''}`,
    tone,
    total: money(invoice.totalCents),
    hostedUrl: invoice.hostedInvoiceUrl,
    facts: [
      ['Run', invoice.runId],
      ...optional('Number', invoice.stripeInvoiceNumber),
      ['Calls', count(invoice.calls)],
      ['Exactly', exact(invoice.exactPico)],
      ['Month before', lastMonthCents === null ? 'no invoice' : money(lastMonthCents)],
      ['Residue', `${exact(invoice.openingResiduePico)} → ${exact(invoice.closingResiduePico)}`],
      ['Frozen', utcMinute(invoice.frozenAt)],
      ...optional(
        'Goes out',
        invoice.state === 'review' && invoice.reviewUntil ? utcMinute(invoice.reviewUntil) : null,
      ),
      ...optional('Finalised', invoice.finalizedAt && utcMinute(invoice.finalizedAt)),
      ...optional('Note', invoice.settledNote),
      ['Lines (SHA-256)', invoice.linesHash],
      ...optional('Calls (SHA-256)', invoice.callsHash),
    ],
    remedy:
      invoice.state === 'uncollectable'
        ? 'Stripe has no such customer. Collect by other means, or link the right one and resume.'
        : invoice.heldRemedy,
    detail: detailOf(invoice),
    resolutions: resolutions.map((resolution) => ({
      resolution,
      label: resolutionWords[resolution],
      note: resolution === 'settle',
    })),
    unfinished,
    goesOut: invoice.state === 'review' && invoice.reviewUntil ? utcMinute(invoice.reviewUntil) : null,
    lines: lines.map((line) => ({
      key: line.lineKey,
      field: `line${line.position}`,
      description: line.description,
      calls: line.calls === '0' ? '–' : count(line.calls),
      exact: exact(line.exactPico),
      amount: money(line.amountCents),
      credited: line.creditedCents === '0' ? '–' : money(line.creditedCents),
      left:
        BigInt(line.amountCents) > BigInt(line.creditedCents)
          ? money((BigInt(line.amountCents) - BigInt(line.creditedCents)).toString())
          : null,
    })),
    creditable,
    creditNotes: creditNotes.map((note) => ({
      key: note.id,
      number: note.number ?? '–',
      amount: money(note.amountCents),
      state: `${noteStates[note.state] ?? note.state}${note.failure ? ` (${note.failure})` : ''}`,
      memo: note.memo,
      at: utcMinute(note.createdAt),
    })),
    reasons: Object.entries(creditReasons).map(([value, label]) => ({ value, label })),
  }
}

/** The amounts that were typed, by line: `12.34` as minor units. @throws AppError bad_request `invalid_amount` */
export function readCredit(
  fields: Record<string, string>,
  lines: { lineKey: string; position: number }[],
  currency: string,
) {
  return lines.map(({ lineKey, position }) => {
    const field = `line${position}`
    const typed = (fields[field] ?? '').trim() || '0'
    const digits = minorDigits(currency)
    const [, fraction = ''] = typed.split('.')
    const amountCents = fraction.length > digits ? undefined : parseDecimal(typed, digits)
    if (amountCents === undefined || amountCents < 0n)
      throw new AppError('bad_request', 'invalid_amount', 'Enter an amount such as 12.50.', { field })
    return { lineKey, amountCents }
  })
}
