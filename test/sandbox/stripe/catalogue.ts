/** Products and prices: what a subscription item points at. */
import { z } from 'zod'
import { invalid, missing } from './errors.ts'
import { operation, previousAttributes } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { boolean, clearable, createdFilter, expand, integer, mergeMetadata, metadata, page, text } from './params.ts'
import type { PriceRecord, ProductRecord } from './records.ts'
import type { World } from './world.ts'

const productFields = {
  description: clearable.optional(),
  active: boolean.optional(),
  metadata: metadata.optional(),
  expand: expand.optional(),
}
const productCreate = z.strictObject({ ...productFields, name: text, id: text.optional() })
const productUpdate = z.strictObject({ ...productFields, name: text.optional() })
const recurring = z.strictObject({
  interval: z.enum(['day', 'week', 'month', 'year']),
  interval_count: integer.optional(),
})
const priceCreate = z.strictObject({
  currency: text,
  product: text,
  unit_amount: integer,
  recurring: recurring.optional(),
  nickname: text.optional(),
  lookup_key: text.optional(),
  metadata: metadata.optional(),
  expand: expand.optional(),
})

export function priceNamed(world: World, id: string, param = 'price'): PriceRecord {
  const price = world.state.prices[id]
  if (!price) throw missing('price', id, param)
  return price
}

function productNamed(world: World, id: string): ProductRecord {
  const product = world.state.products[id]
  if (!product || product.deleted) throw missing('product', id, 'product')
  return product
}

export function renderProduct(product: ProductRecord): object {
  if (product.deleted) return { id: product.id, object: 'product', deleted: true }
  return {
    id: product.id,
    object: 'product',
    active: product.active,
    created: product.created,
    default_price: null,
    description: product.description,
    images: [],
    livemode: false,
    marketing_features: [],
    metadata: product.metadata,
    name: product.name,
    package_dimensions: null,
    shippable: null,
    tax_details: null,
    type: 'service',
    updated: product.updated,
    url: null,
  }
}

export function renderPrice(price: PriceRecord): object {
  return {
    id: price.id,
    object: 'price',
    active: price.active,
    billing_scheme: 'per_unit',
    created: price.created,
    currency: price.currency,
    custom_unit_amount: null,
    livemode: false,
    lookup_key: price.lookupKey,
    metadata: price.metadata,
    nickname: price.nickname,
    product: price.product,
    recurring: price.recurring && { ...price.recurring, meter: null, trial_period_days: null, usage_type: 'licensed' },
    tax_behavior: 'unspecified',
    tiers_mode: null,
    transform_quantity: null,
    type: price.recurring ? 'recurring' : 'one_time',
    unit_amount: price.unitAmount,
    unit_amount_decimal: String(price.unitAmount),
  }
}

function createProduct(world: World, params: z.infer<typeof productCreate>): object {
  const base = world.base('prod')
  const id = params.id ?? base.id
  if (world.state.products[id]) throw invalid('Product already exists.', 'resource_already_exists', 'id')
  const product: ProductRecord = {
    ...base,
    id,
    deleted: false,
    name: params.name,
    description: params.description ?? null,
    active: params.active ?? true,
    updated: base.created,
    metadata: mergeMetadata({}, params.metadata),
  }
  world.state.products[id] = product
  world.emit('product.created', renderProduct(product))
  return renderProduct(product)
}

function updateProduct(world: World, params: z.infer<typeof productUpdate>, id: string): object {
  const product = productNamed(world, id)
  const before = renderProduct(product)
  if (params.name !== undefined) product.name = params.name
  if (params.description !== undefined) product.description = params.description
  if (params.active !== undefined) product.active = params.active
  product.metadata = mergeMetadata(product.metadata, params.metadata)
  product.updated = world.seconds()
  world.emit('product.updated', renderProduct(product), previousAttributes(before, renderProduct(product)))
  return renderProduct(product)
}

function createPrice(world: World, params: z.infer<typeof priceCreate>): object {
  productNamed(world, params.product)
  const price: PriceRecord = {
    ...world.base('price'),
    product: params.product,
    currency: params.currency.toLowerCase(),
    unitAmount: params.unit_amount,
    active: true,
    nickname: params.nickname ?? null,
    lookupKey: params.lookup_key ?? null,
    recurring: params.recurring ? { interval_count: 1, ...params.recurring } : null,
    metadata: mergeMetadata({}, params.metadata),
  }
  world.state.prices[price.id] = price
  world.emit('price.created', renderPrice(price))
  return renderPrice(price)
}

/** A price's amount never changes; what can be done is to take it off sale. */
function updatePrice(world: World, params: z.infer<typeof priceUpdate>, id: string): object {
  const price = priceNamed(world, id)
  const before = renderPrice(price)
  if (params.active !== undefined) price.active = params.active
  price.metadata = mergeMetadata(price.metadata, params.metadata)
  world.emit('price.updated', renderPrice(price), previousAttributes(before, renderPrice(price)))
  return renderPrice(price)
}

const priceUpdate = z.strictObject({ active: boolean.optional(), metadata: metadata.optional() })
const listParams = z.strictObject({ ...page, ...createdFilter, active: boolean.optional() })

export const catalogueOperations = [
  operation('products.create', 'POST /v1/products', productCreate, createProduct),
  operation('products.update', 'POST /v1/products/{id}', productUpdate, updateProduct),
  operation(
    'products.retrieve',
    'GET /v1/products/{id}',
    z.strictObject({ expand: expand.optional() }),
    (world, _params, id) => renderProduct(productNamed(world, id)),
  ),
  operation('products.list', 'GET /v1/products', listParams, (world, params) => {
    const all = newestFirst(world.state.products).filter(
      (product) =>
        !product.deleted &&
        (params.active === undefined || product.active === params.active) &&
        createdWithin(product.created, params.created),
    )
    const list = pageOf(all, params, '/v1/products')
    return { ...list, data: list.data.map(renderProduct) }
  }),
  operation('prices.create', 'POST /v1/prices', priceCreate, createPrice),
  operation('prices.update', 'POST /v1/prices/{id}', priceUpdate, updatePrice),
  operation(
    'prices.retrieve',
    'GET /v1/prices/{id}',
    z.strictObject({ expand: expand.optional() }),
    (world, _params, id) => renderPrice(priceNamed(world, id)),
  ),
  operation('prices.list', 'GET /v1/prices', listParams.extend({ product: text.optional() }), (world, params) => {
    const all = newestFirst(world.state.prices).filter(
      (price) =>
        (params.product === undefined || price.product === params.product) &&
        (params.active === undefined || price.active === params.active) &&
        createdWithin(price.created, params.created),
    )
    const list = pageOf(all, params, '/v1/prices')
    return { ...list, data: list.data.map(renderPrice) }
  }),
]
