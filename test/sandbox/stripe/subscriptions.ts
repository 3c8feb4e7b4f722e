import { z } from 'zod'
import { priceNamed } from './catalogue.ts'
import { livingCustomer } from './customers.ts'
import { invalid, missing } from './errors.ts'
import { collect, createSubscriptionInvoice, feeInvoice, finalizeInvoice } from './invoice-lifecycle.ts'
import { operation, previousAttributes } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { boolean, clearable, createdFilter, expand, integer, mergeMetadata, metadata, page, text } from './params.ts'
import { declined } from './payment-methods.ts'
import { periodEndAfter } from './periods.ts'
import type { SubscriptionItemRecord, SubscriptionRecord } from './records.ts'
import { endSubscription, renderSubscription } from './subscription-object.ts'
import { changeSubscription } from './subscription-payments.ts'
import type { World } from './world.ts'

const DAY_SECONDS = 86_400
/** How long an upgrade waits for its payment. */
const PENDING_SECONDS = 23 * 3_600
const STATUSES = [
  'active',
  'canceled',
  'incomplete',
  'incomplete_expired',
  'past_due',
  'paused',
  'trialing',
  'unpaid',
] as const

const shared = {
  automatic_tax: z.strictObject({ enabled: boolean }).optional(),
  cancel_at: z.union([z.literal('').transform(() => null), integer]).optional(),
  cancel_at_period_end: boolean.optional(),
  collection_method: z.enum(['charge_automatically', 'send_invoice']).optional(),
  days_until_due: integer.optional(),
  default_payment_method: text.optional(),
  description: clearable.optional(),
  expand: expand.optional(),
  metadata: metadata.optional(),
  off_session: boolean.optional(),
  payment_behavior: z
    .enum(['allow_incomplete', 'default_incomplete', 'error_if_incomplete', 'pending_if_incomplete'])
    .optional(),
  proration_behavior: z.enum(['always_invoice', 'create_prorations', 'none']).optional(),
}
const newItem = z.strictObject({ price: text, quantity: integer.optional(), metadata: metadata.optional() })
const createParams = z.strictObject({
  ...shared,
  customer: text,
  items: z.array(newItem).min(1).max(20),
  currency: text.optional(),
  trial_end: integer.optional(),
  trial_period_days: integer.optional(),
})
const changedItem = newItem.extend({ id: text.optional(), price: text.optional(), deleted: boolean.optional() })
const pause = z.strictObject({
  behavior: z.enum(['keep_as_draft', 'mark_uncollectible', 'void']),
  resumes_at: integer.optional(),
})
const updateParams = z.strictObject({
  ...shared,
  items: z.array(changedItem).max(20).optional(),
  pause_collection: z.union([z.literal('').transform(() => null), pause]).optional(),
})

export function subscriptionNamed(world: World, id: string): SubscriptionRecord {
  const subscription = world.state.subscriptions[id]
  if (!subscription) throw missing('subscription', id)
  return subscription
}

function itemOf(
  world: World,
  item: { price: string; quantity?: number; metadata?: Record<string, string> | null },
): SubscriptionItemRecord {
  if (!priceNamed(world, item.price, 'items[0][price]').recurring) {
    throw invalid(
      'The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.',
    )
  }
  const metadata = mergeMetadata({}, item.metadata)
  return { id: world.newId('si'), created: world.seconds(), price: item.price, quantity: item.quantity ?? 1, metadata }
}

export type SubscriptionInput = z.infer<typeof createParams>

export function createSubscription(world: World, params: SubscriptionInput): object {
  const customer = livingCustomer(world, params.customer)
  const items = params.items.map((item) => itemOf(world, item))
  const currencies = new Set(items.map((item) => priceNamed(world, item.price).currency))
  const [currency = 'usd'] = currencies
  if (currencies.size > 1) throw invalid('All prices on a subscription must have the same currency.')
  if (customer.currency && customer.currency !== currency) {
    throw invalid(`You cannot combine currencies on a single customer. This customer uses ${customer.currency}.`)
  }
  const base = world.base('sub')
  const trialEnd =
    params.trial_end ?? (params.trial_period_days ? base.created + params.trial_period_days * DAY_SECONDS : null)
  const subscription: SubscriptionRecord = {
    ...base,
    customer: customer.id,
    status: trialEnd ? 'trialing' : 'incomplete',
    items,
    currency,
    metadata: mergeMetadata({}, params.metadata),
    cancelAt: params.cancel_at ?? null,
    cancelAtPeriodEnd: params.cancel_at_period_end ?? false,
    canceledAt: null,
    endedAt: null,
    collectionMethod: params.collection_method ?? 'charge_automatically',
    daysUntilDue: params.days_until_due ?? null,
    defaultPaymentMethod: params.default_payment_method ?? null,
    description: params.description ?? null,
    latestInvoice: null,
    pauseCollection: null,
    pausedAt: null,
    pendingUpdate: null,
    schedule: null,
    anchor: trialEnd ?? base.created,
    automaticTax: params.automatic_tax?.enabled ?? false,
    periodStart: base.created,
    periodEnd: trialEnd ?? periodEndAfter(world, items, base.created, base.created),
    trialEnd,
  }
  // Known to the account before its invoice is: the payment looks for it. A refusal takes it away again.
  world.state.subscriptions[subscription.id] = subscription
  const paid = createSubscriptionInvoice(world, subscription, params.payment_behavior !== 'default_incomplete')
  if (!paid && params.payment_behavior === 'error_if_incomplete') {
    delete world.state.subscriptions[subscription.id]
    throw declined()
  }
  if (paid && !trialEnd) subscription.status = 'active'
  customer.currency ??= currency
  world.emit('customer.subscription.created', renderSubscription(world, subscription))
  return renderSubscription(world, subscription)
}

function changeItems(world: World, subscription: SubscriptionRecord, changes: z.infer<typeof changedItem>[]): void {
  for (const change of changes) {
    const known = subscription.items.find((item) => item.id === change.id)
    if (change.id && !known) throw missing('subscription_item', change.id, 'items[0][id]')
    if (known && change.deleted) subscription.items = subscription.items.filter((item) => item !== known)
    else if (known) {
      if (change.price) known.price = priceNamed(world, change.price, 'items[0][price]').id
      if (change.quantity !== undefined) known.quantity = change.quantity
      known.metadata = mergeMetadata(known.metadata, change.metadata)
    } else if (change.price) subscription.items.push(itemOf(world, { ...change, price: change.price }))
    else throw invalid('Missing required param: items[0][price].', 'parameter_missing', 'items[0][price]')
  }
  if (!subscription.items.length) throw invalid('A subscription must have at least one active item.')
}

/** An upgrade is invoiced in full and applied when that is paid; until then the items stay what they are (stripe §2.7). */
function awaitPayment(world: World, draft: SubscriptionRecord, price: string): void {
  priceNamed(world, price)
  const invoice = feeInvoice(world, draft, { reason: 'subscription_update', price })
  finalizeInvoice(world, invoice)
  if (invoice.status === 'paid' || collect(world, invoice)) {
    draft.items = draft.items.map((item, index) => (index === 0 ? { ...item, price } : item))
    return
  }
  draft.pendingUpdate = { expires_at: world.seconds() + PENDING_SECONDS, price, invoice: invoice.id }
}

/** Writes no prorations: the product bills whole months of its own, and Stripe's prorations belong to the vendor's plan fee. */
function update(world: World, params: z.infer<typeof updateParams>, id: string): object {
  const current = subscriptionNamed(world, id)
  if (current.endedAt) throw invalid('A canceled subscription can only update its cancellation_details and metadata.')
  const before = renderSubscription(world, current)
  const draft = structuredClone(current)
  if (params.items && params.payment_behavior === 'pending_if_incomplete' && params.items[0]?.price) {
    awaitPayment(world, draft, params.items[0].price)
  } else if (params.items) changeItems(world, draft, params.items)
  if (params.cancel_at_period_end !== undefined) {
    draft.cancelAtPeriodEnd = params.cancel_at_period_end
    draft.cancelAt = params.cancel_at_period_end ? draft.periodEnd : null
    draft.canceledAt = params.cancel_at_period_end ? world.seconds() : null
  }
  if (params.cancel_at !== undefined) draft.cancelAt = params.cancel_at
  if (params.pause_collection !== undefined) {
    draft.pauseCollection = params.pause_collection && { resumes_at: null, ...params.pause_collection }
  }
  if (params.collection_method) draft.collectionMethod = params.collection_method
  if (params.days_until_due !== undefined) draft.daysUntilDue = params.days_until_due
  if (params.default_payment_method) draft.defaultPaymentMethod = params.default_payment_method
  if (params.automatic_tax) draft.automaticTax = params.automatic_tax.enabled
  if (params.description !== undefined) draft.description = params.description
  draft.metadata = mergeMetadata(draft.metadata, params.metadata)
  world.state.subscriptions[id] = draft
  const after = renderSubscription(world, draft)
  world.emit('customer.subscription.updated', after, previousAttributes(before, after))
  return after
}

const cancelParams = z.strictObject({
  invoice_now: boolean.optional(),
  prorate: boolean.optional(),
  expand: expand.optional(),
})
const listParams = z.strictObject({
  ...page,
  ...createdFilter,
  customer: text.optional(),
  price: text.optional(),
  status: z.enum([...STATUSES, 'all', 'ended']).optional(),
})

const pauseParams = z.strictObject({
  type: z.literal('subscription').optional(),
  invoicing_behavior: z.enum(['invoice', 'pending_invoice_item']).optional(),
  expand: expand.optional(),
})
const resumeParams = z.strictObject({
  billing_cycle_anchor: z.strictObject({ type: z.enum(['now', 'unchanged']) }).optional(),
  proration_behavior: shared.proration_behavior,
  expand: expand.optional(),
})

/** Since endive: the subscription itself pauses, its status says so, and no cycle is invoiced. */
function pauseSubscription(world: World, _params: unknown, id: string): object {
  const subscription = subscriptionNamed(world, id)
  if (!['active', 'trialing', 'past_due'].includes(subscription.status))
    throw invalid(`A subscription that is ${subscription.status} cannot be paused.`)
  const change = { status: 'paused' as const, pausedAt: world.seconds() }
  changeSubscription(world, subscription, change, ['customer.subscription.paused'])
  return renderSubscription(world, subscription)
}

function resumeSubscription(world: World, _params: unknown, id: string): object {
  const subscription = subscriptionNamed(world, id)
  if (subscription.status !== 'paused') throw invalid('Only a paused subscription can be resumed.')
  const change = { status: 'active' as const, pausedAt: null }
  changeSubscription(world, subscription, change, ['customer.subscription.resumed'])
  return renderSubscription(world, subscription)
}

export const subscriptionOperations = [
  operation('subscriptions.pause', 'POST /v1/subscriptions/{id}/pause', pauseParams, pauseSubscription),
  operation('subscriptions.resume', 'POST /v1/subscriptions/{id}/resume', resumeParams, resumeSubscription),
  operation('subscriptions.create', 'POST /v1/subscriptions', createParams, createSubscription),
  operation('subscriptions.update', 'POST /v1/subscriptions/{id}', updateParams, update),
  operation('subscriptions.cancel', 'DELETE /v1/subscriptions/{id}', cancelParams, (world, _params, id) => {
    const subscription = subscriptionNamed(world, id)
    if (subscription.endedAt) throw missing('subscription', id)
    endSubscription(world, subscription)
    return renderSubscription(world, subscription)
  }),
  operation(
    'subscriptions.retrieve',
    'GET /v1/subscriptions/{id}',
    z.strictObject({ expand: expand.optional() }),
    (world, _params, id) => renderSubscription(world, subscriptionNamed(world, id)),
  ),
  operation('subscriptions.list', 'GET /v1/subscriptions', listParams, (world, params) => {
    const { status } = params
    const all = newestFirst(world.state.subscriptions).filter((subscription) => {
      // Without a status Stripe leaves out the canceled ones.
      const ended = subscription.status === 'canceled' || subscription.status === 'incomplete_expired'
      const wanted =
        status === undefined
          ? subscription.status !== 'canceled'
          : status === 'all' || (status === 'ended' ? ended : subscription.status === status)
      return (
        wanted &&
        (!params.customer || subscription.customer === params.customer) &&
        (!params.price || subscription.items.some((item) => item.price === params.price)) &&
        createdWithin(subscription.created, params.created)
      )
    })
    const list = pageOf(all, params, '/v1/subscriptions')
    return { ...list, data: list.data.map((subscription) => renderSubscription(world, subscription)) }
  }),
]
