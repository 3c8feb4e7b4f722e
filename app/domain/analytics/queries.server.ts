import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { isTier } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import type { PriceRow } from '#app/domain/pricing/raw-prices.ts'
import { findKeyHint } from '#app/domain/vault/queries.server.ts'
import { Prisma } from '#app/generated/prisma/client.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { idTime, isId } from '#app/platform/ids.ts'
import {
  addSums,
  type CallDetail,
  type CallFilter,
  type CallPage,
  daysBetween,
  type NamedSums,
  noSums,
  type PageRequest,
  type Usage,
} from './analytics.ts'
import type { CallAdjustment } from './call-adjustment.ts'
import { callColumns, type RawCall, toCallRow } from './internal/call-row.server.ts'
import { findCalls } from './internal/find-calls.server.ts'
import { loadSums, type SumsRow, toSums } from './internal/usage-sums.server.ts'

/** A model or surface that is neither in the catalogue nor was ever used here is a mistake in the URL, not an empty list. */
async function requireKnownNames(tx: Tx, workspaceId: string, filter: CallFilter): Promise<void> {
  const { models, surfaces } = await loadCatalogue()
  for (const [field, known] of [
    ['model', models],
    ['surface', surfaces],
  ] as const) {
    const name = filter[field]
    if (name === null || known.has(name)) continue
    const [row] = await tx.$queryRaw<{ used: boolean }[]>`
      SELECT EXISTS (SELECT FROM metering.call_daily_rollups WHERE workspace_id = ${workspaceId}::uuid
        AND ${Prisma.raw(field)} = ${name}) AS used`
    if (!row?.used)
      throw new AppError(
        'bad_request',
        'invalid_filter',
        `${field}: there is no ${field} of this name. Choose one of the list, or none.`,
        { field },
      )
  }
}

function named(rows: SumsRow[], column: 'model' | 'surface' | 'tier'): NamedSums[] {
  const found = rows.flatMap((row) => (row[column] === null ? [] : [{ name: row[column], sums: toSums(row) }]))
  const spent = ({ sums }: NamedSums) => sums.chargePico + sums.creditPico
  return found.sort((a, b) => (spent(a) === spent(b) ? 0 : spent(a) < spent(b) ? 1 : -1))
}

/** Totals, days and breakdowns of the filter's calls, from the rollups alone. `outcome` does not narrow them. */
export async function readUsage(ctx: Ctx, filter: CallFilter): Promise<Usage> {
  authorize(ctx, 'read:InferenceCall', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  const rows = await inTenant({ workspaceId }, async (tx) => {
    await requireKnownNames(tx, workspaceId, filter)
    return loadSums(tx, workspaceId, filter)
  })
  const days = new Map(
    daysBetween(filter.from, filter.to).map((day) => [day, { day, platform: noSums, workspace: noSums }]),
  )
  let [platform, workspace] = [noSums, noSums]
  for (const row of rows) {
    const day = row.day === null ? undefined : days.get(row.day)
    if (!day) continue
    const sums = toSums(row)
    if (row.key_source === 'workspace') [day.workspace, workspace] = [sums, addSums(workspace, sums)]
    else [day.platform, platform] = [sums, addSums(platform, sums)]
  }
  return {
    platform,
    workspace,
    total: addSums(platform, workspace),
    byDay: [...days.values()],
    byModel: named(rows, 'model'),
    bySurface: named(rows, 'surface'),
    byTier: named(rows, 'tier'),
  }
}

/** One page of the filter's calls, newest first. */
export async function listCalls(ctx: Ctx, filter: CallFilter, page: PageRequest): Promise<CallPage> {
  authorize(ctx, 'read:InferenceCall', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  return inTenant({ workspaceId }, async (tx) => {
    await requireKnownNames(tx, workspaceId, filter)
    return findCalls(tx, workspaceId, filter, page)
  })
}

interface RawDetail extends RawCall {
  billing_month: string
  recorded_at: Date
  origin: string
  response_model: string | null
  upstream_model: string | null
  endpoint: string
  price_row: PriceRow | null
  fallback_of: string | null
  stand_in: string | null
  usage_source: string
  cost_clamped: boolean
  key_id: string | null
  key_version: number | null
  token_id: string | null
  markup_bp: number | null
  basis_pico: string | null
  basis_source: string | null
  plan_name: string | null
  enabled_keys: number
}

interface RawAdjustment {
  recorded_at: Date
  reason: CallAdjustment['reason']
  billing_month: string
  price_book_version: number
  raw_cost: string | null
  tier_price: string | null
  before: string
  after: string
}

async function listAdjustments(tx: Tx, workspaceId: string, callId: string): Promise<CallAdjustment[]> {
  const rows = await tx.$queryRaw<RawAdjustment[]>`
    SELECT recorded_at, reason, to_char(billing_month, 'YYYY-MM') AS billing_month, price_book_version, raw_cost_pico::text AS raw_cost,
      tier_price_pico::text AS tier_price, charge_before_pico::text AS before, charge_after_pico::text AS after
    FROM metering.call_adjustments WHERE workspace_id = ${workspaceId}::uuid AND call_id = ${callId}::uuid ORDER BY seq`
  const big = (text: string | null) => (text === null ? null : BigInt(text))
  return rows.map((row) => ({
    at: row.recorded_at,
    reason: row.reason,
    billingMonth: row.billing_month as CalendarMonth,
    priceBookVersion: row.price_book_version,
    rawCostPico: big(row.raw_cost),
    tierPricePico: big(row.tier_price),
    chargeBeforePico: BigInt(row.before),
    chargeAfterPico: BigInt(row.after),
  }))
}

/** One call with its margin receipt, found by primary key: its id carries its time. @throws AppError not_found, alike for missing and foreign */
export async function getCall(ctx: Ctx, id: string): Promise<CallDetail> {
  authorize(ctx, 'read:InferenceCall', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  if (!isId(id) || id[14] !== '7') throw notFound('Call')
  const at = idTime(id)
  const { books, surfaces } = await loadCatalogue()
  return inTenant({ workspaceId }, async (tx) => {
    const [row] = await tx.$queryRaw<RawDetail[]>`
      SELECT ${callColumns}, to_char(billing_month, 'YYYY-MM') AS billing_month, recorded_at, origin, response_model, usage_source,
        cost_clamped, key_id::text, key_version, token_id::text, upstream_model, endpoint, price_row, fallback_of::text, stand_in::text,
        markup_bp, basis_pico::text, basis_source, "then".plan_name, "then".enabled_keys
      FROM metering.calls_now
      CROSS JOIN LATERAL (
        SELECT upstream_model, endpoint, price_row, fallback_of FROM metering.inference_calls c
        WHERE c.workspace_id = calls_now.workspace_id AND c.dispatched_at = calls_now.dispatched_at AND c.id = calls_now.id) AS route
      LEFT JOIN LATERAL (
        SELECT c.id AS stand_in FROM metering.inference_calls c
        WHERE c.workspace_id = calls_now.workspace_id AND c.fallback_of = calls_now.id
          AND c.dispatched_at BETWEEN calls_now.dispatched_at AND calls_now.dispatched_at + interval '1 day' LIMIT 1) AS later ON true
      CROSS JOIN LATERAL (
        SELECT (SELECT p.name FROM workspace_plan_periods w JOIN plans p ON p.id = w.plan_id WHERE w.workspace_id = calls_now.workspace_id
            AND w.since <= calls_now.dispatched_at AND (w.until IS NULL OR w.until > calls_now.dispatched_at) LIMIT 1) AS plan_name,
          (SELECT count(*)::int FROM provider_key_periods k WHERE k.workspace_id = calls_now.workspace_id
            AND k.enabled_from <= calls_now.dispatched_at AND (k.enabled_to IS NULL OR k.enabled_to > calls_now.dispatched_at)) AS enabled_keys
      ) AS "then"
      WHERE workspace_id = ${workspaceId}::uuid AND dispatched_at = to_timestamp(${at.getTime()}::float8 / 1000) AND id = ${id}::uuid`
    if (!row) throw notFound('Call')
    const token = row.token_id
      ? await tx.gatewayToken.findUnique({
          where: { workspaceId_id: { workspaceId, id: row.token_id } },
          select: { name: true },
        })
      : null
    const { key_id: keyId, key_version: keyVersion } = row
    const book = books.find((one) => one.version === row.price_book_version)
    return {
      ...toCallRow(row),
      billingMonth: row.billing_month as CalendarMonth,
      recordedAt: row.recorded_at,
      origin: row.origin,
      responseModel: row.response_model,
      upstreamModel: row.upstream_model,
      endpoint: row.endpoint,
      priceRow: row.price_row,
      fallbackOf: row.fallback_of,
      standIn: row.stand_in,
      usageSource: row.usage_source,
      costClamped: row.cost_clamped,
      keyId,
      keyVersion,
      keyHint: keyId && keyVersion ? await findKeyHint(tx, { workspaceId, keyId, keyVersion }) : null,
      tokenName: token?.name ?? null,
      price: (isTier(row.tier) && book?.tiers[row.tier]) || null,
      currency: book?.currency ?? 'usd',
      markupBp: row.markup_bp,
      basisPico: row.basis_pico === null ? null : BigInt(row.basis_pico),
      basisSource: row.basis_source,
      planName: row.plan_name,
      surfaceIsBackground: surfaces.get(row.surface)?.background ?? false,
      enabledKeysThen: row.enabled_keys,
      adjustments: await listAdjustments(tx, workspaceId, id),
    }
  })
}
