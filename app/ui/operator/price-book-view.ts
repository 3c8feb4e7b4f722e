import type { PriceBookRow } from '#app/domain/operations/draft-prices.server.ts'
import type { PreviewRow, PricesPreview } from '#app/domain/operations/preview-prices.server.ts'
import type { TypedDraft, TypedTier } from '#app/domain/operations/price-draft.ts'
import { displayExact } from '#app/domain/pricing/currency.ts'
import { type Tier, tierNames, tiers } from '#app/domain/pricing/pricing.ts'
import { monthName } from '#app/platform/calendar-month.ts'
import { count, counted } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'

export interface BookRow {
  version: string
  draft: boolean
  state: string
  past: boolean
  whom: string
  from: string
  currency: string
  note: string
  rerate: string | null
}

interface PreviewRowView {
  id: string
  workspace: string
  calls: string
  /** How many of them the draft prices, in words. */
  priced: string
  before: string
  after: string
  difference: string
  /** What a re-rate run would write; null: the draft begins later. */
  rerate: string | null
}

export interface PriceBookView {
  books: BookRow[]
  editing: {
    version: string
    currency: string
    effectiveFrom: string
    effectiveUntil: string
    note: string
    meters: string
    tiers: (TypedTier & { tier: Tier; name: string })[]
  } | null
  preview: {
    version: string
    month: string
    rows: PreviewRowView[]
    total: Pick<PreviewRowView, 'before' | 'after' | 'difference' | 'rerate'>
    /** What is not in the table, and what a re-rate run leaves alone. */
    notes: string[]
  } | null
  publishing: BookRow | null
}

const signed = (amount: string, currency: string): string =>
  BigInt(amount) === 0n ? 'no change' : `${BigInt(amount) > 0n ? '+' : ''}${displayExact(BigInt(amount), currency)}`

function pricedWords({ calls, pricedCalls }: PreviewRow): string {
  if (calls === '0') return 'usage only'
  if (pricedCalls === '0') return 'none'
  return pricedCalls === calls ? 'all' : count(pricedCalls)
}

function previewNotes({ currency, otherCurrency, reratePico }: PricesPreview): string[] {
  const elsewhere =
    otherCurrency.length === 0
      ? []
      : [
          `Billed in another currency than ${currency.toUpperCase()}, and so priced by other books: ${otherCurrency.join(', ')}.`,
        ]
  return [
    'Calls that the draft does not price are charged by what providers cost, by prices of their workspace’s own, or not at all: they stay as they are.',
    ...(reratePico === null
      ? []
      : [
          'The draft begins in the past. Published as a re-rate run it writes the last column: the difference of calls since it begins. What was paid out of credits, and usage that is no call, it leaves as it was.',
        ]),
    ...elsewhere,
  ]
}

function toPreviewView(preview: PricesPreview, version: string): NonNullable<PriceBookView['preview']> {
  const { currency } = preview
  const money = (amount: string) => displayExact(BigInt(amount), currency)
  const difference = (amount: string) => signed(amount, currency)
  const amounts = (row: Pick<PreviewRow, 'oldPico' | 'newPico' | 'differencePico' | 'reratePico'>) => ({
    before: money(row.oldPico),
    after: money(row.newPico),
    difference: difference(row.differencePico),
    rerate: row.reratePico === null ? null : difference(row.reratePico),
  })
  return {
    version,
    month: monthName(preview.month),
    rows: preview.rows.map((row) => ({
      id: row.workspaceId,
      workspace: row.workspace,
      calls: count(row.calls),
      priced: pricedWords(row),
      ...amounts(row),
    })),
    total: amounts(preview),
    notes: previewNotes(preview),
  }
}

function rerateWords(book: PriceBookRow): string | null {
  if (!book.rerate) return null
  if (book.rerate.state !== 'done') return 'Being applied to the past.'
  const { adjusted, calls, differencePico, leftCreditCalls } = book.rerate
  const left =
    leftCreditCalls === '0' ? '' : ` ${counted(leftCreditCalls, 'call')} paid out of credits stayed as they were.`
  return `Applied to the past: ${count(adjusted)} of ${counted(calls, 'call')} charged differently, ${signed(differencePico, book.currency)} in all.${left}`
}

function toRow(book: PriceBookRow, now: Date): BookRow {
  const until = book.effectiveUntil ? ` to ${utcMinute(book.effectiveUntil)}` : ''
  const begun = new Date(book.effectiveFrom) <= now
  return {
    version: String(book.version),
    draft: book.publishedAt === null,
    state: book.publishedAt === null ? 'Draft' : begun ? 'Published' : 'Published, begins later',
    past: begun,
    whom: book.workspace ?? 'All workspaces',
    from: `${utcMinute(book.effectiveFrom)}${until}`,
    currency: book.currency.toUpperCase(),
    note: book.note,
    rerate: rerateWords(book),
  }
}

interface PriceBookInput {
  books: PriceBookRow[]
  typed: TypedDraft | null
  preview: PricesPreview | null
  asked: { edit?: string; preview?: string; publish?: string }
  now: Date
}

export function toPriceBookView({ books, typed, preview, asked, now }: PriceBookInput): PriceBookView {
  const rows = books.map((book) => toRow(book, now))
  return {
    books: rows,
    editing: typed && {
      ...typed,
      version: asked.edit ?? '',
      tiers: tiers.map((tier) => ({ ...typed.tiers[tier], tier, name: tierNames[tier] })),
    },
    preview: preview && toPreviewView(preview, asked.preview ?? ''),
    publishing: rows.find((row) => row.draft && row.version === asked.publish) ?? null,
  }
}

/** The form's fields as a draft. */
export function toDraft(fields: Record<string, string>): TypedDraft {
  const field = (name: string) => fields[name] ?? ''
  const tierOf = (tier: Tier): TypedTier => ({
    input: field(`${tier}.input`),
    output: field(`${tier}.output`),
    cacheRead: field(`${tier}.cacheRead`),
    cacheWrite: field(`${tier}.cacheWrite`),
    bands: field(`${tier}.bands`),
  })
  return {
    currency: field('currency').trim().toLowerCase(),
    effectiveFrom: field('effectiveFrom'),
    effectiveUntil: field('effectiveUntil'),
    note: field('note'),
    meters: field('meters'),
    tiers: Object.fromEntries(tiers.map((tier) => [tier, tierOf(tier)])) as Record<Tier, TypedTier>,
  }
}
