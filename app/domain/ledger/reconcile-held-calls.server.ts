import type { ChargeMode, KeySource } from '#app/domain/plans/plans.ts'
import { chargePico, type Tier, tierPricePico } from '#app/domain/pricing/pricing.ts'
import { type Catalogue, loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import type { GenerationReport, Tokens } from '#app/domain/providers/usage.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { markupBasis } from './markup-basis.server.ts'
import type { GenerationReader } from './sweep-attempts.server.ts'
import { usageOutcome } from './usage-outcome.ts'

/** A call whose cost is unknown, so that no margin could be charged. */
interface HeldCall {
  workspaceId: string
  id: string
  dispatchedAt: string
  provider: string
  model: string
  upstreamModel: string | null
  tier: Tier | 'none'
  keySource: KeySource
  keyId: string | null
  keyVersion: number | null
  chargeMode: ChargeMode
  markupBp: number | null
  priceBookVersion: number
  upstreamId: string
}

/** Providers keep their records for a while only. */
const oldestMs = 35 * 86_400_000
const batch = 500
/** How long one run may ask, in ms: the next begins five minutes later. */
const longestRunMs = 4 * 60_000

const select = `
  SELECT c.workspace_id::text AS "workspaceId", c.id::text, c.dispatched_at::text AS "dispatchedAt", c.provider, c.model,
    c.upstream_model AS "upstreamModel", c.tier, c.charge_mode AS "chargeMode", c.markup_bp AS "markupBp",
    c.key_source AS "keySource", c.key_id::text AS "keyId", c.key_version AS "keyVersion",
    c.price_book_version AS "priceBookVersion", c.upstream_id AS "upstreamId"
  FROM metering.inference_calls c
  WHERE c.charge_pico IS NULL AND c.upstream_id IS NOT NULL AND c.dispatched_at > $1::timestamptz
    AND NOT EXISTS (SELECT FROM metering.call_corrections k WHERE k.workspace_id = c.workspace_id AND k.call_id = c.id)
    AND ($3::timestamptz IS NULL OR (c.dispatched_at, c.id) < ($3::timestamptz, $4::uuid))
  ORDER BY c.dispatched_at DESC, c.id DESC LIMIT $2`

async function correct(
  call: HeldCall,
  report: GenerationReport,
  tokens: Tokens,
  catalogue: Catalogue,
): Promise<boolean> {
  const book = catalogue.books.find((known) => known.version === call.priceBookVersion)
  const list = catalogue.models.get(call.model)?.list ?? null
  const used = { tokens, usageSource: 'generation', costPico: report.costPico, costSource: 'generation', list } as const
  // As the sweeper believes it: a model that is in no list has no measure, and its cost is known all the same.
  const { rawCostPico } = usageOutcome(used)
  if (!book || rawCostPico === null) return false
  const counts = { inputTokens: BigInt(tokens.input), outputTokens: BigInt(tokens.output) }
  const cached = { cacheReadTokens: BigInt(tokens.cacheRead), cacheWriteTokens: BigInt(tokens.cacheWrite) }
  const tierPrice = call.tier === 'none' ? null : tierPricePico(book, call.tier, { ...counts, ...cached })
  const dispatch = { ...call, dispatchedAt: new Date(call.dispatchedAt) }
  const basis = await markupBasis(dispatch, { ...counts, ...cached, rawCostPico })
  const { chargeMode, markupBp } = call
  const charge = chargePico({ chargeMode, markupBp, tierPricePico: tierPrice, rawCostPico, ...basis })
  if (charge === null) return false
  const { rows } = await systemPool().query(
    `SELECT metering.correct_held_call($1::uuid, $2::timestamptz, $3::uuid, 'cost_resolved', $4, $5, $6, 'generation', $7, $8, $9, $10) AS done`,
    [
      call.workspaceId,
      call.dispatchedAt,
      call.id,
      tokens.input,
      tokens.output,
      rawCostPico.toString(),
      tierPrice?.toString() ?? null,
      basis.basisPico?.toString() ?? null,
      basis.basisSource,
      charge.toString(),
    ],
  )
  return rows[0]?.done === true
}

/**
 * Asks the provider about calls that are held for want of their cost, and books what it says as a correction; the call's
 * own row never changes. Running it twice, or beside another, changes nothing more.
 * @returns calls resolved
 */
export async function reconcileHeldCalls(readGeneration: GenerationReader, now: Date): Promise<number> {
  const oldest = new Date(now.getTime() - oldestMs)
  const deadline = performance.now() + longestRunMs
  let resolved = 0
  let last: HeldCall | undefined
  // All of them, page by page: with the newest only, those that never resolve would keep the older ones from being asked about.
  for (;;) {
    const page = [oldest, batch, last?.dispatchedAt ?? null, last?.id ?? null]
    const { rows } = await systemPool().query<HeldCall>(select, page)
    const catalogue = rows.length > 0 ? await loadCatalogue() : null
    for (const call of rows) {
      if (!catalogue || performance.now() > deadline) return resolved
      if (await resolve(call, readGeneration, catalogue)) resolved += 1
    }
    last = rows.at(-1)
    if (rows.length < batch) return resolved
  }
}

async function resolve(call: HeldCall, readGeneration: GenerationReader, catalogue: Catalogue): Promise<boolean> {
  const found = await readGeneration({ dispatch: call, upstreamId: call.upstreamId })
  const tokens = found.kind === 'found' ? found.report.tokens : null
  return found.kind === 'found' && tokens !== null && correct(call, found.report, tokens, catalogue)
}
