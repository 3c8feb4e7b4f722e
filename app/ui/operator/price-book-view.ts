import type { PriceBookRow } from '#app/domain/operations/draft-prices.server.ts'
import type { PricesPreview } from '#app/domain/operations/preview-prices.server.ts'
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
    rows: { id: string; workspace: string; calls: string; before: string; after: string; difference: string }[]
    total: { before: string; after: string; difference: string }
  } | null
  publishing: BookRow | null
}

const signed = (amount: string, currency: string): string =>
  `${BigInt(amount) > 0n ? '+' : ''}${displayExact(BigInt(amount), currency)}`

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
  const money = (amount: string) => displayExact(BigInt(amount), preview?.currency ?? 'usd')
  return {
    books: rows,
    editing: typed && {
      ...typed,
      version: asked.edit ?? '',
      tiers: tiers.map((tier) => ({ ...typed.tiers[tier], tier, name: tierNames[tier] })),
    },
    preview: preview && {
      version: asked.preview ?? '',
      month: monthName(preview.month),
      rows: preview.rows.map((row) => ({
        id: row.workspaceId,
        workspace: row.workspace,
        calls: count(row.calls),
        before: money(row.oldPico),
        after: money(row.newPico),
        difference: signed(row.differencePico, preview.currency),
      })),
      total: {
        before: money(preview.oldPico),
        after: money(preview.newPico),
        difference: signed(preview.differencePico, preview.currency),
      },
    },
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
