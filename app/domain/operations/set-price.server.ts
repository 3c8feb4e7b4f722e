import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { forgetPriceLists } from '#app/domain/pricing/find-price.server.ts'
import { readTypedPrice } from '#app/domain/pricing/typed-price.ts'
import { type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'

/** As typed: USD per million tokens. What is left empty costs what plain input does. */
export interface TypedPrices {
  provider: ProviderId
  /** The model's id at the provider. */
  model: string
  input: string
  output: string
  cacheRead: string
  cacheWrite: string
  note: string
}

const longestNote = 200

const refuse = (field: string, text: string) => new AppError('bad_request', 'invalid_price', text, { field })

function typed(field: string, text: string): string {
  const price = readTypedPrice(text)
  if (price === null) throw refuse(field, 'Enter USD per million tokens, such as 3 or 0.25, with at most 12 decimals.')
  return price
}

const optional = (field: string, text: string): string | null => (text.trim() === '' ? null : typed(field, text))

function checked(given: TypedPrices) {
  const model = given.model.trim()
  if (!/^[\x21-\x7e]{1,200}$/.test(model)) throw refuse('model', 'Enter the id that the model has at the provider.')
  const note = given.note.trim()
  if (note.length > longestNote) throw refuse('note', `A note has at most ${longestNote} characters.`)
  return {
    provider: given.provider,
    model,
    inputUsd: typed('input', given.input),
    outputUsd: typed('output', given.output),
    cacheReadUsd: optional('cacheRead', given.cacheRead),
    cacheWriteUsd: optional('cacheWrite', given.cacheWrite),
    note,
  }
}

/**
 * Sets the operator's own price of a model: it holds before every list, from the next call on, in every process within a
 * minute. Calls of the past keep the prices that stand in them. The model leaves the list of unpriced ones.
 * @throws AppError bad_request `invalid_price`
 */
export async function setPrice(ctx: OperatorCtx, given: TypedPrices): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const { provider, model, ...prices } = checked(given)
  const at = ctx.now()
  await inSystem(async (tx) => {
    const row = { ...prices, updatedAt: at }
    const where = { provider_model: { provider, model } }
    await tx.priceOverride.upsert({ where, create: { provider, model, ...row }, update: row })
    await tx.unpricedModel.deleteMany({ where: { provider, model, missing: '' } })
    await recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'price.set',
      subjectType: 'price',
      subjectId: `${provider} ${model}`,
      detail: { provider, model, ...prices },
      at,
    })
  })
  forgetPriceLists()
}

/**
 * Takes the operator's own price of a model back: lists decide again.
 * @throws AppError not_found
 */
export async function removePrice(
  ctx: OperatorCtx,
  { provider, model }: { provider: string; model: string },
): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  if (!(providerIds as readonly string[]).includes(provider)) throw notFound('Price')
  await inSystem(async (tx) => {
    const { count } = await tx.priceOverride.deleteMany({ where: { provider, model } })
    if (count === 0) throw notFound('Price')
    await recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'price.removed',
      subjectType: 'price',
      subjectId: `${provider} ${model}`,
      detail: { provider, model },
      at: ctx.now(),
    })
  })
  forgetPriceLists()
}
