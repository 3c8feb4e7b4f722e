import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { CATALOGUE_AGE_MAX_MS, forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'
import { audit, currencyDiffers, lockDraft } from './draft-prices.server.ts'

/** Running processes hold a catalogue for a while; a price in force sooner would hold in some of them only. */
const LEAD_MS = 2 * CATALOGUE_AGE_MAX_MS

const refused = (code: string, text: string) => new AppError('conflict', code, text, { field: 'effectiveFrom' })

async function requirePublishable(tx: Tx, version: number) {
  const book = await lockDraft(tx, version)
  if (book.workspace && book.workspace.currency !== book.currency)
    throw currencyDiffers(book.currency, book.workspace.currency)
  const { effectiveFrom, currency, workspaceId } = book
  const same = await tx.priceBook.findFirst({
    where: { effectiveFrom, currency, workspaceId, publishedAt: { not: null } },
  })
  if (same)
    throw refused(
      'price_book_same_time',
      `Price book ${same.version} begins at the very same time. Choose another one.`,
    )
  return book
}

/**
 * Publishes a draft: calls are priced by it from `effective_from` on. That lies at least a minute ahead, so that every process
 * knows of it; a time in the past is refused, except as a re-rate run (stripe §4 cases 57, 58).
 * @throws AppError conflict `price_book_in_the_past`, `price_book_published`, `currency_mismatch`
 */
export async function publishPrices(ctx: OperatorCtx, version: number): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const now = ctx.now()
  await inSystem(async (tx) => {
    const book = await requirePublishable(tx, version)
    if (book.effectiveFrom.getTime() < now.getTime() + LEAD_MS)
      throw refused(
        'price_book_in_the_past',
        'It would begin in the past or within the next minute, where calls are already priced. Choose a later time, or publish it as a re-rate run.',
      )
    await tx.priceBook.update({ where: { version }, data: { publishedAt: now } })
    await audit(tx, ctx, 'price_book.published', version, { effectiveFrom: book.effectiveFrom.toISOString() })
  })
  forgetCatalogue()
}

/**
 * Publishes a draft whose time began in the past. Calls from then on that were charged by older prices get difference entries by
 * a job; they and their invoices stay as they are (stripe §4 case 58).
 * @returns the re-rate run's id
 * @throws AppError conflict `price_book_not_past`
 */
export async function publishRerate(ctx: OperatorCtx, version: number): Promise<string> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const now = ctx.now()
  const id = newId(now)
  await inSystem(async (tx) => {
    const { effectiveFrom, effectiveUntil } = await requirePublishable(tx, version)
    if (effectiveFrom >= now)
      throw refused('price_book_not_past', 'It begins in the future: publish it as it is, there is nothing to re-rate.')
    await tx.priceBook.update({ where: { version }, data: { publishedAt: now } })
    // Processes price by what they knew for a moment longer: those calls are covered too.
    const known = new Date(now.getTime() + LEAD_MS)
    const coversUntil = effectiveUntil && effectiveUntil < known ? effectiveUntil : known
    await tx.rerateRun.create({
      data: {
        ...{ id, priceBookVersion: version, coversFrom: effectiveFrom, coversUntil },
        ...{ state: 'waiting', createdBy: ctx.actor.id, createdAt: now },
      },
    })
    await enqueueJob(tx, 'rerate-calls', { rerateId: id }, { jobKey: `rerate:${id}`, runAt: known })
    await audit(tx, ctx, 'price_book.published_as_rerate', version, { rerate: id, from: effectiveFrom.toISOString() })
  })
  forgetCatalogue()
  return id
}
