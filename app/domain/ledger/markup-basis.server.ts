import { findPaidPrices } from '#app/domain/pricing/find-price.server.ts'
import { noteUnpriced } from '#app/domain/pricing/note-unpriced.server.ts'
import { priceTokens } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { rawCostOf } from '#app/domain/pricing/raw-prices.ts'
import { normaliseModelId } from '#app/domain/providers/model-ids.ts'
import type { Pico } from '#app/platform/pico.ts'
import { type Dispatch, type MarkupBasis, noBasis, type Outcome } from './ledger.ts'

type Used = Pick<Outcome, 'inputTokens' | 'outputTokens' | 'cacheReadTokens' | 'cacheWriteTokens' | 'rawCostPico'>

/** The least that these tokens cost anywhere where they cost something; null where the model is free wherever it is listed. */
async function lowestPaidRate(model: string, at: Date, used: Used): Promise<Pico | null> {
  const same = normaliseModelId(model)
  const isSame = (other: string) => normaliseModelId(other) === same
  const [input, output] = [used.inputTokens ?? 0n, used.outputTokens ?? 0n]
  const tokens = {
    input: Number(input),
    output: Number(output),
    cacheRead: Number(used.cacheReadTokens ?? 0n),
    cacheWrite: Number(used.cacheWriteTokens ?? 0n),
  }
  const listed = [...(await loadCatalogue()).models.values()]
    .filter((row) => isSame(row.id))
    .map((row) => priceTokens(row.list, { inputTokens: input, outputTokens: output }))
  const prices = await findPaidPrices({ isSame, model, inputTokens: tokens.input, at })
  const paid = [...listed, ...prices.map((usd) => rawCostOf(usd, tokens) ?? 0n)].filter((cost) => cost > 0n)
  return paid.length === 0 ? null : paid.reduce((least, cost) => (cost < least ? cost : least))
}

/**
 * What the markup of a call is taken of (stripe §2.5): its raw cost; where the model was free, the lowest paid rate of the same
 * model for the same tokens; where nobody pays for it anywhere, 0, and the model goes onto the operator's list.
 */
export async function markupBasis(
  dispatch: Pick<Dispatch, 'chargeMode' | 'provider' | 'model' | 'upstreamModel' | 'dispatchedAt'>,
  used: Used,
): Promise<MarkupBasis> {
  const { rawCostPico } = used
  if (dispatch.chargeMode !== 'markup' || rawCostPico === null) return noBasis
  if (rawCostPico > 0n || !(used.inputTokens || used.outputTokens))
    return { basisPico: rawCostPico, basisSource: 'raw_cost' }
  const model = dispatch.upstreamModel ?? dispatch.model
  const paid = await lowestPaidRate(model, dispatch.dispatchedAt, used)
  if (paid !== null) return { basisPico: paid, basisSource: 'lowest_paid_rate' }
  noteUnpriced(dispatch.provider, model, dispatch.dispatchedAt)
  return { basisPico: 0n, basisSource: 'none' }
}
