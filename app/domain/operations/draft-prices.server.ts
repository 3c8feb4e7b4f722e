import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { type PriceBook, priceBookAt, tiers } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue, readPriceBook } from '#app/domain/pricing/queries.server.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { type DraftPrices, readDraft, type TypedDraft, toTyped } from './price-draft.ts'

const platform = { workspaceId: '*' }

/** What holds for a workspace (null: for all) at an instant, tier by tier and meter by meter, as one book. */
function inForce(books: PriceBook[], at: Date, workspaceId: string | null, currency: string): PriceBook | null {
  const question = { ...(workspaceId && { workspaceId }), currency }
  const base = priceBookAt(books, at, question)
  if (!base) return null
  const meters = [...new Set(books.flatMap((book) => Object.keys(book.meters)))]
  const priced = tiers.flatMap((tier) => {
    const rates = priceBookAt(books, at, { ...question, tier })?.tiers[tier]
    return rates ? [[tier, rates] as const] : []
  })
  const metered = meters.flatMap((meter) => {
    const price = priceBookAt(books, at, { ...question, meter })?.meters[meter]
    return price ? [[meter, price] as const] : []
  })
  return { ...base, tiers: Object.fromEntries(priced), meters: Object.fromEntries(metered) }
}

async function findWorkspace(tx: Tx, slug: string) {
  const found = await tx.workspace.findUnique({ where: { slug }, select: { id: true, currency: true } })
  if (!found)
    throw new AppError('bad_request', 'invalid_price', `There is no workspace ${slug}.`, { field: 'workspace' })
  return found
}

/** The prices of a workspace are in its own currency: a book of another would never be used (stripe §4 case 23). */
export function currencyDiffers(book: string, workspace: string): AppError {
  return new AppError(
    'conflict',
    'currency_mismatch',
    `The workspace is billed in ${workspace.toUpperCase()}: prices in ${book.toUpperCase()} cannot be assigned to it.`,
    { field: 'currency' },
  )
}

async function writePrices(tx: Tx, version: number, { tiers: rows, meters }: DraftPrices): Promise<void> {
  const where = { priceBookVersion: version }
  await tx.tierPrice.deleteMany({ where })
  await tx.meterPrice.deleteMany({ where })
  await tx.tierPrice.createMany({ data: rows.map((row) => ({ ...where, ...row })) })
  await tx.meterPrice.createMany({ data: meters.map((row) => ({ ...where, ...row })) })
}

/**
 * Makes a draft: a copy of what holds now, for all workspaces or for one, a month ahead. Nobody is charged by a draft.
 * @returns its version
 */
export async function draftPrices(
  ctx: OperatorCtx,
  { workspace: slug, currency = 'usd' }: { workspace?: string; currency?: string },
): Promise<number> {
  authorize(ctx, 'operate:Platform', platform)
  const { books } = await loadCatalogue()
  const now = ctx.now()
  const nextMonth = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1))
  return inSystem(async (tx) => {
    const workspace = slug ? await findWorkspace(tx, slug) : null
    const own = workspace?.currency ?? currency
    const base = inForce(books, now, workspace?.id ?? null, own)
    const draft = { note: '', effectiveUntil: null, effectiveFrom: nextMonth, currency: own }
    const prices = base ? readDraft(toTyped({ ...base, ...draft })) : null
    // Two operators at once: the loser's number is taken, and the table says so; numbers are never used twice.
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(7320, 1)`
    const last = await tx.priceBook.findFirst({ orderBy: { version: 'desc' }, select: { version: true } })
    const version = (last?.version ?? 0) + 1
    await tx.priceBook.create({
      data: { version, workspaceId: workspace?.id ?? null, createdAt: now, ...draft, publishedAt: null },
    })
    if (prices) await writePrices(tx, version, prices)
    await audit(tx, ctx, 'price_book.drafted', version, { workspace: slug ?? '', currency: own })
    return version
  })
}

/** Locks a draft. @throws AppError not_found, conflict `price_book_published` */
export async function lockDraft(tx: Tx, version: number) {
  await tx.$queryRaw`SELECT 1 FROM price_books WHERE version = ${version} FOR UPDATE`
  const book = await tx.priceBook.findUnique({
    where: { version },
    include: { workspace: { select: { currency: true } } },
  })
  if (!book) throw notFound('Price book')
  if (book.publishedAt)
    throw new AppError(
      'conflict',
      'price_book_published',
      `Price book ${version} is published: it never changes. Make a new draft.`,
    )
  return book
}

/** Replaces a draft's prices. @throws AppError bad_request `invalid_price`, conflict `currency_mismatch`, `price_book_published` */
export async function changeDraft(ctx: OperatorCtx, version: number, typed: TypedDraft): Promise<void> {
  authorize(ctx, 'operate:Platform', platform)
  const prices = readDraft(typed)
  await inSystem(async (tx) => {
    const book = await lockDraft(tx, version)
    if (book.workspace && book.workspace.currency !== prices.currency)
      throw currencyDiffers(prices.currency, book.workspace.currency)
    const { currency, effectiveFrom, effectiveUntil, note } = prices
    await tx.priceBook.update({ where: { version }, data: { currency, effectiveFrom, effectiveUntil, note } })
    await writePrices(tx, version, prices)
    await audit(tx, ctx, 'price_book.changed', version, { effectiveFrom: effectiveFrom.toISOString(), currency })
  })
}

/** Throws a draft away. @throws AppError not_found, conflict `price_book_published` */
export async function discardDraft(ctx: OperatorCtx, version: number): Promise<void> {
  authorize(ctx, 'operate:Platform', platform)
  await inSystem(async (tx) => {
    await lockDraft(tx, version)
    await tx.tierPrice.deleteMany({ where: { priceBookVersion: version } })
    await tx.meterPrice.deleteMany({ where: { priceBookVersion: version } })
    await tx.priceBook.delete({ where: { version } })
    await audit(tx, ctx, 'price_book.discarded', version, {})
  })
}

export const audit = (tx: Tx, ctx: OperatorCtx, action: string, version: number, detail: Record<string, string>) =>
  recordAudit(tx, {
    workspaceId: null,
    actor: ctx.actor,
    action,
    subjectType: 'price_book',
    subjectId: String(version),
    detail,
    at: ctx.now(),
  })

export interface PriceBookRow {
  version: number
  workspace: string | null
  note: string
  effectiveFrom: string
  effectiveUntil: string | null
  publishedAt: string | null
  currency: string
  rerate: { state: string; calls: string; adjusted: string; differencePico: string; leftCreditCalls: string } | null
}

/** Drafts first, then what was published, newest first. */
export async function listPriceBooks(ctx: OperatorCtx): Promise<PriceBookRow[]> {
  authorize(ctx, 'operate:Platform', platform)
  const rows = await inSystem((tx) =>
    tx.priceBook.findMany({
      include: { workspace: { select: { slug: true } }, rerateRun: true },
      orderBy: [{ publishedAt: { sort: 'desc', nulls: 'first' } }, { version: 'desc' }],
      take: 200,
    }),
  )
  return rows.map(({ workspace, rerateRun, ...book }) => ({
    version: book.version,
    workspace: workspace?.slug ?? null,
    note: book.note,
    effectiveFrom: book.effectiveFrom.toISOString(),
    effectiveUntil: book.effectiveUntil?.toISOString() ?? null,
    publishedAt: book.publishedAt?.toISOString() ?? null,
    currency: book.currency,
    rerate: rerateRun && {
      state: rerateRun.state,
      calls: rerateRun.calls.toString(),
      adjusted: rerateRun.adjusted.toString(),
      differencePico: rerateRun.differencePico.toFixed(0),
      leftCreditCalls: rerateRun.leftCreditCalls.toString(),
    },
  }))
}

/** One book as an operator types it. @throws AppError not_found */
export async function readTypedBook(ctx: OperatorCtx, version: number): Promise<TypedDraft> {
  authorize(ctx, 'operate:Platform', platform)
  const book = await readPriceBook(version)
  if (!book) throw notFound('Price book')
  const row = await inSystem((tx) => tx.priceBook.findUnique({ where: { version }, select: { note: true } }))
  return toTyped({ ...book, note: row?.note ?? '' })
}
