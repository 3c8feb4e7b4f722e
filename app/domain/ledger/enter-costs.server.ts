import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import type { ChargeMode } from '#app/domain/plans/plans.ts'
import { chargePico } from '#app/domain/pricing/pricing.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { idTime, isId } from '#app/platform/ids.ts'
import { type Pico, parsePico, picoToUsd } from '#app/platform/pico.ts'
import { readCsvLines } from './csv-lines.ts'
import { markupBasis } from './markup-basis.server.ts'

export interface EnteredCosts {
  /** Held calls that are charged now. */
  resolved: number
  /** Calls that were charged already: the difference goes onto the next invoice. */
  corrected: number
  /** Calls whose charge that cost does not change: it is kept, and no invoice tells of it. */
  kept: number
  /** Calls that had that cost already, and repeated entries. */
  unchanged: number
}

interface Entry {
  line: number
  id: string
  rawCostPico: Pico
}

/** A million dollars for one call is nobody's bill, and near what the ledger's columns hold. */
const mostCostPico = 1_000_000_000_000_000_000n

const wrong = (line: number, text: string) =>
  new AppError('bad_request', 'invalid_costs', `Line ${line}: ${text}`, { field: 'csv' })

/** `call_id,cost_usd`, a header or none: a first line without an amount. @throws AppError bad_request `invalid_costs` */
export function readCosts(csv: string): Entry[] {
  return readCsvLines(csv, wrong).flatMap(({ line, cells: [id = '', cost = ''] }, index) => {
    if (index === 0 && !isId(id) && parsePico(cost) === undefined) return []
    if (!isId(id)) throw wrong(line, `"${id.slice(0, 40)}" is not the id of a call`)
    const rawCostPico = parsePico(cost)
    if (rawCostPico === undefined || rawCostPico < 0n || rawCostPico > mostCostPico)
      throw wrong(line, `"${cost.slice(0, 40)}" is not an amount in USD`)
    return [{ line, id, rawCostPico }]
  })
}

interface CallRow {
  workspace_id: string
  id: string
  dispatched_at: string
  provider: string
  model: string
  upstream_model: string | null
  charge_mode: ChargeMode
  markup_bp: number | null
  tier_price_pico: string | null
  input_tokens: string | null
  output_tokens: string | null
  cache_read_tokens: string | null
  cache_write_tokens: string | null
  price_book_version: number
  /** Difference entries that the call has already. */
  entries: number
  held: boolean
}

async function findCall(id: string): Promise<CallRow | undefined> {
  // A call's id holds its millisecond: one partition is looked into, not all. A call that was re-rated keeps those prices.
  const { rows } = await systemPool().query<CallRow>(
    `SELECT c.workspace_id::text, c.id::text, c.dispatched_at::text, c.provider, c.model, c.upstream_model, c.charge_mode, c.markup_bp,
       coalesce(a.tier_price_pico, n.tier_price_pico)::text AS tier_price_pico, n.input_tokens::text, n.output_tokens::text,
       c.cache_read_tokens::text, c.cache_write_tokens::text, coalesce(a.price_book_version, c.price_book_version) AS price_book_version,
       coalesce(a.seq, 0) AS entries, n.charge_pico IS NULL AS held
     FROM metering.inference_calls c
     JOIN metering.calls_now n ON n.workspace_id = c.workspace_id AND n.dispatched_at = c.dispatched_at AND n.id = c.id
     LEFT JOIN LATERAL (SELECT x.seq, x.tier_price_pico, x.price_book_version FROM metering.call_adjustments x
       WHERE x.workspace_id = c.workspace_id AND x.call_id = c.id ORDER BY x.seq DESC LIMIT 1) a ON true
     WHERE c.id = $1::uuid AND c.dispatched_at BETWEEN $2::timestamptz - interval '1 millisecond' AND $2::timestamptz + interval '1 millisecond'`,
    [id, idTime(id)],
  )
  return rows[0]
}

const big = (cell: string | null): bigint | null => (cell === null ? null : BigInt(cell))
const text = (amount: Pico | null): string | null => amount?.toString() ?? null

/** A call with what it comes to by the cost that was entered. */
interface Priced {
  call: CallRow
  rawCostPico: Pico
  tierPricePico: Pico | null
  basis: Awaited<ReturnType<typeof markupBasis>>
  charge: Pico
}

async function price(entry: Entry): Promise<Priced> {
  const call = await findCall(entry.id)
  if (!call) throw wrong(entry.line, `there is no call ${entry.id}`)
  const { rawCostPico } = entry
  const { charge_mode: chargeMode, markup_bp: markupBp, provider, model, upstream_model: upstreamModel } = call
  const basis = await markupBasis(
    { chargeMode, provider, model, upstreamModel, dispatchedAt: new Date(call.dispatched_at) },
    {
      ...{ inputTokens: BigInt(call.input_tokens ?? 0), outputTokens: BigInt(call.output_tokens ?? 0), rawCostPico },
      ...{ cacheReadTokens: big(call.cache_read_tokens), cacheWriteTokens: big(call.cache_write_tokens) },
    },
  )
  const tierPricePico = big(call.tier_price_pico)
  const charge = chargePico({ chargeMode, markupBp, tierPricePico, rawCostPico, ...basis })
  if (charge === null) throw wrong(entry.line, `call ${entry.id} cannot be charged: its tier price is not known`)
  return { call, rawCostPico, tierPricePico, basis, charge }
}

/** @returns null where another one changed the call since it was read: a re-rate run, or the job that resolves held calls */
function enter(priced: Priced): Promise<keyof EnteredCosts | null> {
  return priced.call.held ? resolve(priced) : correct(priced)
}

async function resolve({ call, rawCostPico, tierPricePico, basis, charge }: Priced): Promise<'resolved' | null> {
  const { rows } = await systemPool().query<{ done: boolean }>(
    `SELECT metering.correct_held_call($1::uuid, $2::timestamptz, $3::uuid, 'cost_resolved', NULL, NULL, $4, 'imported', $5, $6, $7, $8) AS done`,
    [
      ...[call.workspace_id, call.dispatched_at, call.id, text(rawCostPico), text(tierPricePico)],
      ...[text(basis.basisPico), basis.basisSource, text(charge)],
    ],
  )
  return rows[0]?.done ? 'resolved' : null
}

/** The charge was reckoned with the prices of the entries that were read: with one more beside them it would put older prices back. */
async function correct({
  call,
  rawCostPico,
  tierPricePico,
  basis,
  charge,
}: Priced): Promise<keyof EnteredCosts | null> {
  return inSystem(async (tx) => {
    // In the order that metering.adjust_calls takes them.
    await tx.$queryRaw`SELECT metering.lock_ledger_shared(${call.workspace_id}::uuid)::text`
    await tx.$queryRaw`SELECT pg_advisory_xact_lock(7304, hashtext(${call.workspace_id}::text))::text`
    const [now] = await tx.$queryRaw<{ entries: number }[]>`
      SELECT coalesce(max(seq), 0)::int AS entries FROM metering.call_adjustments
      WHERE workspace_id = ${call.workspace_id}::uuid AND call_id = ${call.id}::uuid`
    if (now?.entries !== call.entries) return null
    // By what stood there before: a cost that is put back to an earlier one is an entry of its own, a repeated file is none.
    const reference = `cost ${picoToUsd(rawCostPico)} after ${call.entries}`
    const [entry] = await tx.$queryRaw<{ written: string; difference: string }[]>`
      SELECT written::text, difference::text FROM metering.adjust_calls(${call.workspace_id}::uuid, 'cost_corrected', ${reference},
        ARRAY[${call.id}::uuid], ARRAY[${call.dispatched_at}::timestamptz], ARRAY[${call.price_book_version}::integer],
        ARRAY[${text(rawCostPico)}::bigint], ARRAY[${text(tierPricePico)}::bigint], ARRAY[${text(basis.basisPico)}::bigint],
        ARRAY[${text(charge)}::bigint])`
    if (entry?.written !== '1') return 'unchanged'
    return entry.difference === '0' ? 'kept' : 'corrected'
  })
}

async function enterOne(priced: Priced, entry: Entry): Promise<keyof EnteredCosts> {
  for (let current = priced; ; current = await price(entry)) {
    const outcome = await enter(current)
    if (outcome) return outcome
  }
}

/**
 * Costs that an operator knows from elsewhere: held calls are charged by them; of calls that were charged, or cut off at 0, the
 * difference goes onto the next invoice (stripe §2.8, §4 case 63). Where the charge stays as it is, the cost is kept all the same.
 * The same file again changes nothing.
 * @throws AppError bad_request `invalid_costs` with the line; nothing was entered then
 */
export async function enterCosts(ctx: OperatorCtx, { csv }: { csv: string }): Promise<EnteredCosts> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const entries = readCosts(csv)
  if (!entries.length)
    throw new AppError('bad_request', 'invalid_costs', 'No line names a call and what it cost.', { field: 'csv' })
  const named = new Set<string>()
  const priced: Priced[] = []
  for (const entry of entries) {
    if (named.has(entry.id)) throw wrong(entry.line, `call ${entry.id} stands in the file twice`)
    named.add(entry.id)
    priced.push(await price(entry))
  }
  const counts: EnteredCosts = { resolved: 0, corrected: 0, kept: 0, unchanged: 0 }
  for (const [index, one] of priced.entries()) counts[await enterOne(one, entries[index] as Entry)] += 1
  await inSystem((tx) =>
    recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'call_costs.entered',
      subjectType: 'inference_call',
      subjectId: `${entries.length} calls`,
      detail: { ...counts },
      at: ctx.now(),
    }),
  )
  return counts
}
