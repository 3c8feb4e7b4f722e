import {
  type ChargedCall,
  otherCalls,
  pricedCalls,
  workspacesWithCalls,
} from '#app/domain/ledger/priced-calls.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { isTier, type PriceBook, priceBookAt } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue, readPriceBook } from '#app/domain/pricing/queries.server.ts'
import { meterAmountPico, type NewRating, rateAgain, replaces } from '#app/domain/pricing/rate-again.ts'
import { type CalendarMonth, monthEnd, monthStart } from '#app/platform/calendar-month.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { parseDecimal } from '#app/platform/pico.ts'

/** One workspace's month under two price books. Integers of 1e-12 as text; charges and what was drawn from credits together. */
export interface PreviewRow {
  workspaceId: string
  workspace: string
  calls: string
  /** Of them, those that the draft prices; the others are charged by what providers cost, by prices of their own, or not at all. */
  pricedCalls: string
  oldPico: string
  newPico: string
  differencePico: string
  /**
   * Of the difference, what a re-rate run would write: that of calls since the draft begins. Calls paid out of credits and usage
   * that is no call stay as they were. Null: the draft begins later, so that there is nothing to re-rate.
   */
  reratePico: string | null
}

export interface PricesPreview {
  month: CalendarMonth
  currency: string
  /** Every workspace with calls or usage in the month, also those that the draft changes nothing for. */
  rows: PreviewRow[]
  oldPico: string
  newPico: string
  differencePico: string
  reratePico: string | null
  /** Names of workspaces with calls that are billed in another currency: no price of the draft is theirs. */
  otherCurrency: string[]
}

/** A page answers in a moment; more calls than this are previewed by the command. */
export const MOST_CALLS_ON_A_PAGE = 300_000

interface Sums {
  calls: bigint
  priced: bigint
  before: bigint
  after: bigint
  rerate: bigint
}

const noSums = (): Sums => ({ calls: 0n, priced: 0n, before: 0n, after: 0n, rerate: 0n })

/** The draft beside what is published. */
interface Books {
  draft: PriceBook
  known: Map<number, PriceBook>
  /** All of them, as if the draft had been published; null: it begins later than now. */
  withDraft: PriceBook[] | null
}

/**
 * "Last month under these prices": what each workspace's calls and other usage of a month came to, and what they would have come
 * to under a draft, by the very functions that price calls. Nothing is stored.
 * @throws AppError not_found; too_large `preview_too_large` where `mostCalls` would be exceeded
 */
export async function previewPrices(
  ctx: OperatorCtx,
  {
    version,
    month,
    mostCalls = Number.POSITIVE_INFINITY,
  }: { version: number; month: CalendarMonth; mostCalls?: number },
): Promise<PricesPreview> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const draft = await readPriceBook(version)
  if (!draft) throw notFound('Price book')
  const { books } = await loadCatalogue()
  const withDraft = draft.effectiveFrom < ctx.now() ? [...books, draft] : null
  const all = { draft, known: new Map(books.map((book) => [book.version, book])), withDraft }
  const [from, to] = [monthStart(month), monthEnd(month)]
  const found = (await workspacesWithCalls(from, new Date(to.getTime() - 1))).filter(
    ({ workspaceId }) => draft.workspaceId === null || draft.workspaceId === workspaceId,
  )
  if (found.reduce((sum, { calls }) => sum + calls, await countEvents(draft, [from, to])) > mostCalls)
    throw new AppError(
      'too_large',
      'preview_too_large',
      `The month holds more calls than a page can count at once. Run: npm run prices -- preview ${version}`,
    )
  const sums = new Map<string, Sums>()
  for (const { workspaceId } of found) sums.set(workspaceId, await callsUnder(all, workspaceId, [from, to]))
  await addOthers(sums, draft, [from, to])
  await addUsage(sums, all, month)
  return toPreview(month, draft, sums, withDraft !== null)
}

/** What a re-rate run would write for the call; it leaves those alone that credits paid, and those that are held. */
function rerateOf({ draft, withDraft }: Books, call: ChargedCall, rating: NewRating): bigint {
  const { tier, workspaceId, chargeMode, chargePico } = call
  if (!withDraft || chargeMode === 'credits' || chargePico === null || rating.chargePico === null || !isTier(tier))
    return 0n
  const question = { workspaceId, currency: draft.currency, tier }
  const inForce = priceBookAt(withDraft, new Date(call.dispatchedAt), question)
  return inForce?.version === draft.version ? rating.chargePico - chargePico : 0n
}

async function callsUnder(books: Books, workspaceId: string, [from, to]: [Date, Date]): Promise<Sums> {
  const { draft, known } = books
  const sums = noSums()
  for await (const page of pricedCalls(workspaceId, from, to)) {
    for (const call of page) {
      const before = (call.chargePico ?? 0n) + call.creditPico
      const priced = known.get(call.priceBookVersion)
      const rating = priced && replaces(draft, priced, workspaceId) ? rateAgain(draft, call) : null
      sums.calls += 1n
      sums.priced += rating ? 1n : 0n
      sums.before += before
      sums.rerate += rating ? rerateOf(books, call, rating) : 0n
      sums.after += rating ? (rating.chargePico ?? 0n) + rating.creditPico : before
    }
  }
  return sums
}

/** Calls that no price book has a say in: they come to what they came to, and their workspaces are not left out. */
async function addOthers(sums: Map<string, Sums>, { workspaceId }: PriceBook, [from, to]: [Date, Date]): Promise<void> {
  for (const other of await otherCalls(from, to)) {
    if (workspaceId !== null && workspaceId !== other.workspaceId) continue
    const held = sums.get(other.workspaceId) ?? noSums()
    held.calls += other.calls
    held.before += other.chargePico
    held.after += other.chargePico
    sums.set(other.workspaceId, held)
  }
}

const eventsOf = `metering.usage_events WHERE occurred_at >= $1 AND occurred_at < $2 AND ($3::uuid IS NULL OR workspace_id = $3::uuid)`

async function countEvents({ workspaceId }: PriceBook, [from, to]: [Date, Date]): Promise<number> {
  const { rows } = await systemPool().query<{ events: number }>(`SELECT count(*)::float8 AS events FROM ${eventsOf}`, [
    from,
    to,
    workspaceId,
  ])
  return rows[0]?.events ?? 0
}

interface UsageRow {
  workspace_id: string
  meter: string
  quantity: string
  amount_pico: string
  price_book_version: number
  events: string
}

/** By quantity, as each event was priced: a sum of quantities would be rounded once where they were rounded each. */
async function addUsage(sums: Map<string, Sums>, { draft, known }: Books, month: CalendarMonth): Promise<void> {
  const { rows } = await systemPool().query<UsageRow>(
    `SELECT workspace_id::text, meter, quantity::text, amount_pico::text, price_book_version, count(*)::text AS events FROM ${eventsOf}
      GROUP BY workspace_id, meter, quantity, amount_pico, price_book_version`,
    [monthStart(month), monthEnd(month), draft.workspaceId],
  )
  for (const row of rows) {
    const [before, events] = [BigInt(row.amount_pico), BigInt(row.events)]
    const priced = known.get(row.price_book_version)
    const price = priced && replaces(draft, priced, row.workspace_id) ? draft.meters[row.meter] : undefined
    const held = sums.get(row.workspace_id) ?? noSums()
    held.before += before * events
    held.after += (price ? meterAmountPico(price.unitAtto, parseDecimal(row.quantity, 9) ?? 0n) : before) * events
    sums.set(row.workspace_id, held)
  }
}

async function toPreview(
  month: CalendarMonth,
  { currency }: PriceBook,
  sums: Map<string, Sums>,
  canRerate: boolean,
): Promise<PricesPreview> {
  const workspaces = await inSystem((tx) =>
    tx.workspace.findMany({
      where: { id: { in: [...sums.keys()] } },
      select: { id: true, name: true, currency: true },
      orderBy: { name: 'asc' },
    }),
  )
  const rows = workspaces
    .filter((one) => one.currency === currency)
    .map(({ id, name }): PreviewRow => {
      const { calls, priced, before, after, rerate } = sums.get(id) as Sums
      return {
        workspaceId: id,
        workspace: name,
        calls: calls.toString(),
        pricedCalls: priced.toString(),
        oldPico: before.toString(),
        newPico: after.toString(),
        differencePico: (after - before).toString(),
        reratePico: canRerate ? rerate.toString() : null,
      }
    })
  const total = (name: 'oldPico' | 'newPico' | 'differencePico' | 'reratePico') =>
    rows.reduce((sum, row) => sum + BigInt(row[name] ?? 0), 0n).toString()
  return {
    ...{ month, currency, rows },
    ...{ oldPico: total('oldPico'), newPico: total('newPico'), differencePico: total('differencePico') },
    reratePico: canRerate ? total('reratePico') : null,
    otherCurrency: workspaces.filter((one) => one.currency !== currency).map(({ name }) => name),
  }
}
