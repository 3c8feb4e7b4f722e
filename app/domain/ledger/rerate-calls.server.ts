import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { displayExact } from '#app/domain/pricing/currency.ts'
import { isTier, type PriceBook, priceBookAt } from '#app/domain/pricing/pricing.ts'
import { forgetCatalogue, loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { type NewRating, rateAgain } from '#app/domain/pricing/rate-again.ts'
import type { RerateRun } from '#app/generated/prisma/client.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { type ChargedCall, pricedCalls, workspacesWithCalls } from './priced-calls.server.ts'

export interface RerateResult {
  /** Calls that the new prices cover. */
  calls: bigint
  /** Difference entries, and what they come to. */
  adjusted: bigint
  differencePico: bigint
  /** Calls paid out of credits, which stay as they were. */
  leftCreditCalls: bigint
}

interface Rerated {
  call: ChargedCall
  rating: NewRating
}

/**
 * Writes the difference entries of a re-rate run: for every call that the new book covers and that was charged by an older one,
 * what it would have been charged less what it was. Calls and invoices of the past stay; the entries are billed with the first
 * open month. A second run adds nothing (stripe §4 cases 57, 58).
 * @throws AppError not_found
 */
export async function rerateCalls(rerateId: string, now: Date): Promise<RerateResult> {
  const run = await inSystem((tx) => tx.rerateRun.findUnique({ where: { id: rerateId } }))
  if (!run) throw notFound('Re-rate run')
  forgetCatalogue()
  const { books } = await loadCatalogue()
  const book = books.find((one) => one.version === run.priceBookVersion)
  if (!book) throw new Error(`price book ${run.priceBookVersion} of re-rate run ${run.id} is not published`)
  if (run.state === 'waiting')
    await inSystem((tx) => tx.rerateRun.update({ where: { id: run.id }, data: { state: 'running' } }))
  const counts = { calls: 0n, leftCreditCalls: 0n }
  for (const { workspaceId } of await workspacesWithCalls(run.coversFrom, run.coversUntil)) {
    if (book.workspaceId !== null && book.workspaceId !== workspaceId) continue
    await rerateWorkspace(run, book, books, workspaceId, counts)
  }
  return finish(run, counts, book.currency, now)
}

async function rerateWorkspace(
  run: RerateRun,
  book: PriceBook,
  books: PriceBook[],
  workspaceId: string,
  counts: { calls: bigint; leftCreditCalls: bigint },
): Promise<void> {
  const workspace = await inSystem((tx) =>
    tx.workspace.findUnique({ where: { id: workspaceId }, select: { currency: true } }),
  )
  if (workspace?.currency !== book.currency) return
  for await (const page of pricedCalls(workspaceId, run.coversFrom, run.coversUntil)) {
    const covered = page.filter((call) => covers(book, books, call))
    counts.calls += BigInt(covered.length)
    counts.leftCreditCalls += BigInt(covered.filter((call) => call.chargeMode === 'credits').length)
    const rerated = covered.flatMap((call): Rerated[] => {
      const rating = call.chargeMode === 'credits' ? null : rateAgain(book, call)
      return rating && rating.chargePico !== null && call.chargePico !== null ? [{ call, rating }] : []
    })
    const changed = rerated.filter(({ call, rating }) => rating.chargePico !== call.chargePico)
    if (changed.length) await writeEntries(run, workspaceId, changed)
  }
}

/** The new book is the one in force for the call, as if it had been published in time. */
function covers(book: PriceBook, books: PriceBook[], call: ChargedCall): boolean {
  if (call.priceBookVersion === book.version || !isTier(call.tier)) return false
  const question = { workspaceId: call.workspaceId, currency: book.currency, tier: call.tier }
  return priceBookAt(books, new Date(call.dispatchedAt), question)?.version === book.version
}

const text = (amount: bigint | null): string | null => amount?.toString() ?? null

async function writeEntries(run: RerateRun, workspaceId: string, changed: Rerated[]): Promise<void> {
  await systemPool().query(
    `SELECT * FROM metering.adjust_calls($1::uuid, 're_rate', $2, $3::uuid[], $4::timestamptz[], $5::integer[], $6::bigint[], $7::bigint[],
       $8::bigint[], $9::bigint[])`,
    [
      workspaceId,
      run.id,
      changed.map(({ call }) => call.id),
      changed.map(({ call }) => call.dispatchedAt),
      changed.map(() => run.priceBookVersion),
      changed.map(({ call }) => text(call.rawCostPico)),
      changed.map(({ rating }) => text(rating.tierPricePico)),
      changed.map(() => null),
      changed.map(({ rating }) => text(rating.chargePico)),
    ],
  )
}

/** Counted from the entries themselves: a run that was cut off and begun again says the whole all the same. */
async function finish(
  run: RerateRun,
  counts: { calls: bigint; leftCreditCalls: bigint },
  currency: string,
  now: Date,
): Promise<RerateResult> {
  return inSystem(async (tx) => {
    const [sums] = await tx.$queryRaw<{ adjusted: bigint; difference: string }[]>`
      SELECT count(*) AS adjusted, coalesce(sum(charge_after_pico - charge_before_pico), 0)::text AS difference
      FROM metering.call_adjustments WHERE reason = 're_rate' AND reference = ${run.id}`
    const result = { ...counts, adjusted: sums?.adjusted ?? 0n, differencePico: BigInt(sums?.difference ?? 0) }
    await tx.rerateRun.update({
      where: { id: run.id },
      data: { ...result, differencePico: result.differencePico.toString(), state: 'done', finishedAt: now },
    })
    // It is repeated every night for calls that were settled late: operators who were told are not told again of the same.
    const isNews = run.state !== 'done' || run.adjusted !== result.adjusted
    if (isNews)
      await raiseAlert(tx, {
        kind: 'prices_rerated',
        reference: String(run.priceBookVersion),
        message: `Price book ${run.priceBookVersion} was applied to the past: ${result.adjusted} of ${result.calls} calls were charged differently, ${displayExact(result.differencePico, currency)} in all, which goes onto the next invoices. ${result.leftCreditCalls} calls were paid out of credits and stay as they are.`,
        at: now,
      })
    return result
  })
}
