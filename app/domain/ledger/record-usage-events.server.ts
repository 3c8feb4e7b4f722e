import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { type PlanRules, usesCredits } from '#app/domain/plans/plans.ts'
import { type PriceBook, priceBookAt } from '#app/domain/pricing/pricing.ts'
import { meterAmountPico } from '#app/domain/pricing/rate-again.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { bareArray, textArray } from '#app/platform/pg-array.ts'
import type { Pico } from '#app/platform/pico.ts'
import type { FieldError, UsageEvent } from './usage-event.ts'

/** Whose usage it is, and what it is charged by. */
export interface UsageSender {
  workspaceId: string
  tokenId: string | null
  plan: Pick<PlanRules, 'platformChargeMode' | 'creditOverage'>
  currency: string
}

interface Priced {
  event: UsageEvent
  book: PriceBook
  unitAtto: bigint
  amountPico: Pico
}

export type RecordedEvent =
  /** `duplicate`: it was recorded before, and what is said here is what was charged then. */
  | { outcome: 'recorded' | 'duplicate'; amountPico: Pico; creditPico: Pico; chargePico: Pico; billingMonth: string }
  /** Another event of this source has this id. */
  | { outcome: 'conflict' }
  | { outcome: 'refused'; error: FieldError }

const largestPico = 2n ** 63n

/** Prices an event by the book in force when it happened. */
function price(sender: UsageSender, books: readonly PriceBook[], event: UsageEvent): Priced | FieldError {
  const { workspaceId, currency } = sender
  const book = priceBookAt(books, event.at, { workspaceId, currency, meter: event.meter })
  const meter = book && Object.hasOwn(book.meters, event.meter) ? book.meters[event.meter] : undefined
  if (!book || !meter)
    return { field: 'type', code: 'unknown_meter', message: "'type' names no meter that has a price at that time." }
  const amountPico = meterAmountPico(meter.unitAtto, event.quantityNano)
  if (amountPico >= largestPico)
    return { field: 'data.quantity', code: 'too_large', message: "'data.quantity' comes to more than one event may." }
  return { event, book, unitAtto: meter.unitAtto, amountPico }
}

const decimal = (value: bigint, scale: number): string => {
  const digits = value.toString().padStart(scale + 1, '0')
  return `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

interface Row {
  /** Of the event in what was asked, from 1. */
  place: number
  outcome: 'recorded' | 'duplicate' | 'conflict'
  /** What it came to then, where it was recorded before this statement: prices may have changed since. */
  amount: string | null
  credit: string
  charge: string
  month: string
}

async function record({ workspaceId, tokenId, plan }: UsageSender, priced: Priced[]): Promise<Row[]> {
  const mode = usesCredits(plan) ? 'credits' : 'invoice'
  const { rows } = await systemPool().query<Row>({
    name: 'record-usage-events',
    text: `SELECT r.place, r.outcome, r.credit_pico::text AS credit, r.charge_pico::text AS charge, to_char(r.billing_month, 'YYYY-MM') AS month,
        CASE r.outcome WHEN 'duplicate' THEN (SELECT e.amount_pico::text FROM metering.usage_events e
          WHERE e.workspace_id = $1 AND e.source = ($6::text[])[r.place] AND e.event_id = ($7::text[])[r.place]) END AS amount
      FROM metering.record_usage_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) r`,
    values: [
      ...[workspaceId, tokenId, mode, mode === 'credits' && plan.creditOverage === 'bill'],
      ...[bareArray(priced, () => newId()), textArray(priced, ({ event }) => event.source)],
      ...[textArray(priced, ({ event }) => event.id), textArray(priced, ({ event }) => event.meter)],
      ...[
        textArray(priced, ({ event }) => event.surface),
        bareArray(priced, ({ event }) => decimal(event.quantityNano, 9)),
      ],
      ...[bareArray(priced, ({ event }) => event.at.toISOString()), bareArray(priced, ({ book }) => book.version)],
      ...[
        bareArray(priced, ({ unitAtto }) => decimal(unitAtto, 18)),
        bareArray(priced, ({ amountPico }) => amountPico),
      ],
      bareArray(priced, ({ event }) => event.hash),
    ],
  })
  return rows
}

/** What was recorded of them before: their meters may have had a price then. */
async function findRecorded(workspaceId: string, events: UsageEvent[]): Promise<Row[]> {
  const { rows } = await systemPool().query<Row>({
    name: 'find-usage-events',
    text: `SELECT r.place::integer AS place, CASE WHEN u.content_hash = decode(r.hash, 'hex') THEN 'duplicate' ELSE 'conflict' END AS outcome,
        u.amount_pico::text AS amount, u.credit_pico::text AS credit, u.charge_pico::text AS charge,
        to_char(u.billing_month, 'YYYY-MM') AS month
      FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS r(source, event_id, hash, place)
      JOIN metering.usage_events u ON u.workspace_id = $1 AND u.source = r.source AND u.event_id = r.event_id`,
    values: [
      ...[workspaceId, textArray(events, ({ source }) => source), textArray(events, ({ id }) => id)],
      bareArray(events, ({ hash }) => hash),
    ],
  })
  return rows
}

async function alertOfConflicts(workspaceId: string, conflicts: UsageEvent[], at: Date): Promise<void> {
  await inSystem(async (tx) => {
    for (const { source, id } of conflicts.slice(0, 20))
      await raiseAlert(tx, {
        kind: 'usage_event_conflict',
        reference: `${workspaceId}:${source}:${id}`.slice(0, 300),
        workspaceId,
        message: `Source ${source} sent event ${id} a second time with other content. The first one stays as it was recorded; ask its sender which of the two is right.`,
        at,
      })
  })
}

/**
 * Records usage, each event once by source and id: in one statement, with the credits that it draws, the budgets that count it
 * and, where the plan bills it, its place on the next invoice. What cannot be priced is refused by itself, unless it was recorded
 * before: then it is answered from that, as any repetition is, whatever the prices are now. The others are recorded.
 * @returns for each event, in order, what became of it
 */
export async function recordUsageEvents(
  sender: UsageSender,
  books: readonly PriceBook[],
  events: readonly UsageEvent[],
  now: Date,
): Promise<RecordedEvent[]> {
  const judged = events.map((event) => price(sender, books, event))
  const priced = judged.filter((one): one is Priced => 'event' in one)
  const unpriced = events.filter((_, at) => !('event' in (judged[at] as Priced | FieldError)))
  const rows = new Map<UsageEvent, Row>()
  if (priced.length)
    for (const row of await record(sender, priced)) rows.set((priced[row.place - 1] as Priced).event, row)
  if (unpriced.length)
    for (const row of await findRecorded(sender.workspaceId, unpriced))
      rows.set(unpriced[row.place - 1] as UsageEvent, row)
  const conflicts = [...rows].flatMap(([event, { outcome }]) => (outcome === 'conflict' ? [event] : []))
  if (conflicts.length) await alertOfConflicts(sender.workspaceId, conflicts, now)
  return events.map((event, at) => answerOf(judged[at] as Priced | FieldError, rows.get(event)))
}

function answerOf(judged: Priced | FieldError, row: Row | undefined): RecordedEvent {
  if (!row) {
    if ('event' in judged) throw new Error('an event was neither recorded nor refused')
    return { outcome: 'refused', error: judged }
  }
  if (row.outcome === 'conflict') return { outcome: 'conflict' }
  return {
    outcome: row.outcome,
    amountPico: row.amount === null ? (judged as Priced).amountPico : BigInt(row.amount),
    creditPico: BigInt(row.credit),
    chargePico: BigInt(row.charge),
    billingMonth: row.month,
  }
}
