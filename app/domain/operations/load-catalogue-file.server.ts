import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { tiers } from '#app/domain/pricing/pricing.ts'
import {
  CATALOGUE_AGE_MAX_MS,
  forgetCatalogue,
  readPriceBook,
  toPriceBooks,
} from '#app/domain/pricing/queries.server.ts'
import { providerIds } from '#app/domain/providers/provider.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { parseAtto, parsePico } from '#app/platform/pico.ts'

const price = z.string().refine((text) => {
  try {
    return parseAtto(text) >= 0n
  } catch {
    return false
  }
}, 'must be a decimal of USD per token, written as text, such as "0.000003"')
const id = z.string().regex(/^[a-z0-9][a-zA-Z0-9_./:-]{0,127}$/, 'must be an id of letters, digits and _ . / : -')

const rates = {
  inputUsd: price,
  outputUsd: price,
  cacheReadUsd: price.optional(),
  cacheWriteUsd: price.optional(),
}
const amount = z
  .string()
  .refine(
    (text) => /^\d{1,9}(\.\d{1,12})?$/.test(text),
    'must be an amount of USD, written as text, such as "8" or "7.50"',
  )
const basisPoints = z.number().int().min(0).max(1_000_000)

/** The five products that a plan can follow (design §3). */
const presets = ['tier-margin', 'harness-fee', 'credits', 'markup', 'pass-through'] as const

/** A catalogue file: plans, surfaces, models and price books as data. Every part is optional. */
const catalogueFile = z.strictObject({
  plans: z
    .array(
      z.strictObject({
        id,
        preset: z.enum(presets),
        name: z.string().min(1),
        rank: z.number().int(),
        /** `*`: keys of every kind. */
        allowedProviders: z.array(z.enum([...providerIds, '*'])),
        providerPrecedence: z.array(z.enum(providerIds)).default([]),
        // Those that the ledger's charge rule knows for each key source: calls on a plan with others could not be stored.
        platformChargeMode: z.enum(['tier', 'markup', 'credits', 'none']),
        workspaceChargeMode: z.enum(['tier_margin', 'markup', 'flat_fee', 'pass_through']),
        platformMarkupBp: basisPoints.default(10_000),
        workspaceMarkupBp: basisPoints.default(0),
        keyFeeUsd: amount.default('0'),
        keyFeeProration: z.enum(['seconds', 'whole_month']).default('seconds'),
        monthlyCreditsUsd: amount.default('0'),
        minimumCreditsUsd: amount.default('0'),
        creditOverage: z.enum(['stop', 'bill']).default('stop'),
      }),
    )
    .default([]),
  planProducts: z.array(z.strictObject({ productId: z.string().min(1), planId: id })).default([]),
  /** Stripe products that are sold beside plans and entitle to none. */
  addOnProducts: z
    .array(z.strictObject({ productId: z.string().min(1), name: z.string().min(1).max(200) }))
    .default([]),
  surfaces: z.array(z.strictObject({ id, name: z.string().min(1), background: z.boolean() })).default([]),
  models: z
    .array(
      z.strictObject({
        id,
        name: z.string().min(1),
        tier: z.enum(tiers),
        listInputUsd: price,
        listOutputUsd: price,
        contextLength: z.number().int().positive().optional(),
        /** Left out, it stays as the provider's list said last. */
        maxOutputTokens: z.number().int().positive().max(10_000_000).optional(),
      }),
    )
    .default([]),
  priceBooks: z
    .array(
      z.strictObject({
        version: z.number().int().positive(),
        effectiveFrom: z.iso.datetime(),
        note: z.string().default(''),
        currency: z
          .string()
          .regex(/^[a-z]{3}$/, 'must be a currency in lower case, such as "usd"')
          .default('usd'),
        tiers: z.partialRecord(
          z.enum(tiers),
          z.strictObject({
            ...rates,
            bands: z.array(z.strictObject({ aboveInputTokens: z.number().int().positive(), ...rates })).default([]),
          }),
        ),
        meters: z
          .record(id, z.strictObject({ name: z.string().min(1), unit: z.string().min(1), unitUsd: price }))
          .default({}),
      }),
    )
    .default([]),
})
export type CatalogueFile = z.input<typeof catalogueFile>
type Parsed = z.output<typeof catalogueFile>

/** Running processes hold a catalogue for a while; a price in force sooner would hold in some of them only. */
const LEAD_MS = 2 * CATALOGUE_AGE_MAX_MS

/** Tiers and meters that any published book prices: calls and usage may have been charged by it. */
async function pricedAlready(tx: Tx): Promise<Set<string>> {
  const where = { priceBook: { publishedAt: { not: null } } }
  const tierRows = await tx.tierPrice.findMany({ where, select: { tier: true } })
  const meterRows = await tx.meterPrice.findMany({ where, select: { meter: true } })
  return new Set([...tierRows.map(({ tier }) => `tier:${tier}`), ...meterRows.map(({ meter }) => `meter:${meter}`)])
}

/** @throws RangeError where the version is published with other prices: what the file says would silently not hold */
async function expectSame(book: Parsed['priceBooks'][number]): Promise<void> {
  const { version } = book
  const rowOf = {
    version,
    workspace_id: null,
    currency: book.currency,
    effective_from: new Date(book.effectiveFrom),
    effective_until: null,
  }
  const tierRows = Object.entries(book.tiers).map(([tier, rates]) => ({
    ...{ price_book_version: version, tier: tier as (typeof tiers)[number], bands: rates.bands },
    ...{ input_usd: rates.inputUsd, output_usd: rates.outputUsd },
    ...{ cache_read_usd: rates.cacheReadUsd ?? null, cache_write_usd: rates.cacheWriteUsd ?? null },
  }))
  const meterRows = Object.entries(book.meters).map(([meter, { name, unit, unitUsd }]) => ({
    ...{ price_book_version: version, meter, name, unit, unit_usd: unitUsd },
  }))
  const [wanted] = toPriceBooks([rowOf], tierRows, meterRows)
  const held = await readPriceBook(version)
  if (!isDeepStrictEqual({ ...held, effectiveUntil: null }, wanted))
    throw new RangeError(
      `Price book ${version} is published already, with other prices or another date. Give the one in the file another version.`,
    )
}

/**
 * A published version never changes: only new versions are written. Past dating is refused where something that the book prices
 * has a price already; what nothing priced so far, nothing was charged for.
 */
async function publishPriceBooks(tx: Tx, books: Parsed['priceBooks'], now: Date): Promise<number> {
  const published = await tx.priceBook.findMany({ select: { version: true } })
  const known = new Set(published.map((book) => book.version))
  const fresh = books.filter((book) => !known.has(book.version))
  for (const book of books) if (known.has(book.version)) await expectSame(book)
  const priced = await pricedAlready(tx)
  for (const book of fresh) {
    const effectiveFrom = new Date(book.effectiveFrom)
    const names = [
      ...Object.keys(book.tiers).map((tier) => `tier:${tier}`),
      ...Object.keys(book.meters).map((meter) => `meter:${meter}`),
    ]
    if (names.some((name) => priced.has(name)) && effectiveFrom.getTime() < now.getTime() + LEAD_MS) {
      throw new RangeError(
        `Price book ${book.version}: effectiveFrom lies in the past or within the next minute, where calls are already priced. Choose a later date.`,
      )
    }
    const { version, note, currency } = book
    await tx.priceBook.create({ data: { version, effectiveFrom, note, currency, publishedAt: now } })
    const rows = Object.entries(book.tiers).map(([tier, prices]) => ({
      priceBookVersion: book.version,
      tier,
      ...prices,
    }))
    await tx.tierPrice.createMany({ data: rows })
    const meters = Object.entries(book.meters).map(([meter, prices]) => ({
      priceBookVersion: version,
      meter,
      ...prices,
    }))
    await tx.meterPrice.createMany({ data: meters })
  }
  return fresh.length
}

/**
 * Writes the plans. One that changed raises the epoch of every workspace on it: processes admit calls from memory and must
 * not go on by the plan as it was (docs/decisions/0011).
 */
async function writePlans(tx: Tx, plans: Parsed['plans']): Promise<void> {
  const decimals = ['keyFeeUsd', 'monthlyCreditsUsd', 'minimumCreditsUsd'] as const
  const before = new Map((await tx.plan.findMany()).map((plan) => [plan.id, plan as Record<string, unknown>]))
  const same = (name: string, value: unknown, held: unknown) =>
    decimals.some((each) => each === name) && held !== undefined
      ? parsePico(String(value)) === parsePico((held as { toFixed(): string }).toFixed())
      : isDeepStrictEqual(value, held)
  const changed = plans.filter((plan) =>
    Object.entries(plan).some(([name, value]) => !same(name, value, before.get(plan.id)?.[name])),
  )
  for (const plan of changed) await tx.plan.upsert({ where: { id: plan.id }, create: plan, update: plan })
  const planId = { in: changed.map((plan) => plan.id) }
  if (changed.length) await tx.workspace.updateMany({ where: { planId }, data: { keyEpoch: { increment: 1 } } })
}

/**
 * What each Stripe product stands for: a plan, or an add-on, which is none. An alert that one was unknown is settled by it. A plan's
 * product that was listed as an add-on by mistake becomes the plan's; the other way round its customers would lose their plan.
 */
async function writeProducts(tx: Tx, { planProducts, addOnProducts }: Parsed, now: Date): Promise<void> {
  const stay = new Set(addOnProducts.map(({ productId }) => productId))
  const ofPlans = planProducts.flatMap(({ productId }) => (stay.has(productId) ? [] : productId))
  await tx.addOnProduct.deleteMany({ where: { productId: { in: ofPlans } } })
  for (const row of planProducts)
    await tx.planProduct.upsert({ where: { productId: row.productId }, create: row, update: row })
  for (const row of addOnProducts)
    await tx.addOnProduct.upsert({ where: { productId: row.productId }, create: row, update: row })
  const both = await tx.planProduct.findFirst({
    where: { productId: { in: (await tx.addOnProduct.findMany()).map(({ productId }) => productId) } },
  })
  if (both)
    throw new RangeError(`Product ${both.productId} stands for plan ${both.planId}: it cannot be an add-on as well.`)
  for (const { productId } of [...planProducts, ...addOnProducts])
    await resolveAlert(tx, 'stripe_unknown_product', productId, now)
}

/**
 * Loads a catalogue into the database; running it again changes nothing.
 * @throws ZodError naming each wrong field; RangeError on a past-dated price book, or a product that is both. Nothing is stored then.
 */
export async function loadCatalogueFile(contents: unknown, now: Date): Promise<Record<string, number>> {
  const file = catalogueFile.parse(contents)
  const counts = await inSystem(async (tx) => {
    await writePlans(tx, file.plans)
    await writeProducts(tx, file, now)
    for (const surface of file.surfaces)
      await tx.surface.upsert({ where: { id: surface.id }, create: surface, update: surface })
    for (const { contextLength = null, ...model } of file.models) {
      const row = { ...model, contextLength }
      await tx.model.upsert({ where: { id: model.id }, create: row, update: row })
    }
    const priceBooks = await publishPriceBooks(tx, file.priceBooks, now)
    return {
      plans: file.plans.length,
      planProducts: file.planProducts.length,
      addOnProducts: file.addOnProducts.length,
      surfaces: file.surfaces.length,
      models: file.models.length,
      priceBooks,
    }
  })
  forgetCatalogue()
  return counts
}
