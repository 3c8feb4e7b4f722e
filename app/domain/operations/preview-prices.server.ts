import { pricedCalls, workspacesWithCalls } from '#app/domain/ledger/priced-calls.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import type { PriceBook } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue, readPriceBook } from '#app/domain/pricing/queries.server.ts'
import { meterAmountPico, rateAgain, replaces } from '#app/domain/pricing/rate-again.ts'
import { type CalendarMonth, monthEnd, monthStart } from '#app/platform/calendar-month.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { parseDecimal } from '#app/platform/pico.ts'

/** One workspace's month under two price books. Integers of 1e-12 as text; charges and what was drawn from credits together. */
export interface PreviewRow {
  workspaceId: string
  workspace: string
  calls: string
  oldPico: string
  newPico: string
  differencePico: string
}

export interface PricesPreview {
  month: CalendarMonth
  currency: string
  rows: PreviewRow[]
  oldPico: string
  newPico: string
  differencePico: string
}

/** A page answers in a moment; more calls than this are previewed by the command. */
export const MOST_CALLS_ON_A_PAGE = 300_000

interface Sums {
  calls: bigint
  before: bigint
  after: bigint
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
  const known = new Map(books.map((book) => [book.version, book]))
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
  for (const { workspaceId } of found) sums.set(workspaceId, await callsUnder(draft, known, workspaceId, [from, to]))
  await addUsage(sums, draft, known, month)
  return toPreview(month, draft, sums)
}

async function callsUnder(
  draft: PriceBook,
  known: Map<number, PriceBook>,
  workspaceId: string,
  [from, to]: [Date, Date],
): Promise<Sums> {
  const sums = { calls: 0n, before: 0n, after: 0n }
  for await (const page of pricedCalls(workspaceId, from, to)) {
    for (const call of page) {
      const before = (call.chargePico ?? 0n) + call.creditPico
      const priced = known.get(call.priceBookVersion)
      const rating = priced && replaces(draft, priced, workspaceId) ? rateAgain(draft, call) : null
      sums.calls += 1n
      sums.before += before
      sums.after += rating ? (rating.chargePico ?? 0n) + rating.creditPico : before
    }
  }
  return sums
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
async function addUsage(
  sums: Map<string, Sums>,
  draft: PriceBook,
  known: Map<number, PriceBook>,
  month: CalendarMonth,
): Promise<void> {
  const { rows } = await systemPool().query<UsageRow>(
    `SELECT workspace_id::text, meter, quantity::text, amount_pico::text, price_book_version, count(*)::text AS events FROM ${eventsOf}
      GROUP BY workspace_id, meter, quantity, amount_pico, price_book_version`,
    [monthStart(month), monthEnd(month), draft.workspaceId],
  )
  for (const row of rows) {
    const [before, events] = [BigInt(row.amount_pico), BigInt(row.events)]
    const priced = known.get(row.price_book_version)
    const price = priced && replaces(draft, priced, row.workspace_id) ? draft.meters[row.meter] : undefined
    const held = sums.get(row.workspace_id) ?? { calls: 0n, before: 0n, after: 0n }
    held.before += before * events
    held.after += (price ? meterAmountPico(price.unitAtto, parseDecimal(row.quantity, 9) ?? 0n) : before) * events
    sums.set(row.workspace_id, held)
  }
}

async function toPreview(
  month: CalendarMonth,
  { currency }: PriceBook,
  sums: Map<string, Sums>,
): Promise<PricesPreview> {
  const workspaces = await inSystem((tx) =>
    tx.workspace.findMany({
      where: { id: { in: [...sums.keys()] }, currency },
      select: { id: true, name: true },
      orderBy: { name: 'asc' },
    }),
  )
  const rows = workspaces.map(({ id, name }) => {
    const { calls, before, after } = sums.get(id) as Sums
    return {
      workspaceId: id,
      workspace: name,
      calls: calls.toString(),
      oldPico: before.toString(),
      newPico: after.toString(),
      differencePico: (after - before).toString(),
    }
  })
  const total = (name: 'oldPico' | 'newPico' | 'differencePico') =>
    rows.reduce((sum, row) => sum + BigInt(row[name]), 0n).toString()
  return {
    ...{ month, currency, rows },
    ...{ oldPico: total('oldPico'), newPico: total('newPico'), differencePico: total('differencePico') },
  }
}
