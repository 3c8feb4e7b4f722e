/** The billing portal: sessions by API, and what a customer does on its page. */
import { z } from 'zod'
import { livingCustomer, renderCustomer } from './customers.ts'
import { invalid, missing } from './errors.ts'
import type { PortalRecord } from './more-records.ts'
import { operation, previousAttributes } from './operation.ts'
import { expand, text } from './params.ts'
import { attachPaymentMethod } from './payment-methods.ts'
import type { SubscriptionRecord } from './records.ts'
import { changeSubscription } from './subscription-payments.ts'
import { releaseSchedule, scheduleDowngrade } from './subscription-schedules.ts'
import type { World } from './world.ts'

const createParams = z.strictObject({
  customer: text,
  return_url: text.optional(),
  configuration: text.optional(),
  expand: expand.optional(),
})

export function portalNamed(world: World, id: string): PortalRecord {
  const session = world.state.portalSessions[id]
  if (!session) throw missing('billing_portal.session', id)
  return session
}

export const portalOperations = [
  operation('billingPortal.sessions.create', 'POST /v1/billing_portal/sessions', createParams, (world, params) => {
    const customer = livingCustomer(world, params.customer)
    const base = world.base('bps')
    const session = { ...base, metadata: {}, customer: customer.id, returnUrl: params.return_url ?? null }
    world.state.portalSessions[session.id] = session
    return {
      id: session.id,
      object: 'billing_portal.session',
      configuration: params.configuration ?? 'bpc_sbx_default',
      created: session.created,
      customer: session.customer,
      customer_account: null,
      flow: null,
      livemode: false,
      locale: null,
      on_behalf_of: null,
      return_url: session.returnUrl,
      url: `${world.baseUrl}/_sandbox/portal/${session.id}`,
    }
  }),
]

/** The subscription that the page shows: the newest one that has not ended. */
export const subscriptionAtPortal = (world: World, session: PortalRecord): SubscriptionRecord | undefined =>
  Object.values(world.state.subscriptions)
    .filter((one) => one.customer === session.customer && !one.endedAt)
    .sort((a, b) => b.sequence - a.sequence)[0]

export type PortalAct =
  | { act: 'change'; price: string; when: 'now' | 'period_end' }
  | { act: 'cancel' | 'keep' }
  | { act: 'card'; card: 'works' | 'declines' }

/** @throws StripeApiError 400 where there is nothing to change */
export function actAtPortal(world: World, session: PortalRecord, input: PortalAct): void {
  if (input.act === 'card') {
    changeCard(world, session, input.card)
    return
  }
  const subscription = subscriptionAtPortal(world, session)
  if (!subscription) throw invalid('There is no subscription to change.')
  if (input.act === 'change' && input.when === 'period_end') {
    scheduleDowngrade(world, subscription, input.price)
  } else if (input.act === 'change') {
    const items = subscription.items.map((item, index) => (index === 0 ? { ...item, price: input.price } : item))
    changeSubscription(world, subscription, { items })
  } else if (input.act === 'cancel') {
    const { periodEnd: cancelAt } = subscription
    changeSubscription(world, subscription, { cancelAtPeriodEnd: true, cancelAt, canceledAt: world.seconds() })
  } else {
    const schedule = world.state.schedules[subscription.schedule ?? '']
    if (schedule?.status === 'active') releaseSchedule(world, schedule)
    changeSubscription(world, subscription, { cancelAtPeriodEnd: false, cancelAt: null, canceledAt: null })
  }
}

/** The new card becomes the one that invoices are paid with. */
function changeCard(world: World, session: PortalRecord, card: 'works' | 'declines'): void {
  const customer = livingCustomer(world, session.customer)
  const before = renderCustomer(customer)
  const method = attachPaymentMethod(
    world,
    card === 'works' ? 'pm_card_mastercard' : 'pm_card_chargeCustomerFail',
    customer.id,
  )
  customer.defaultPaymentMethod = method.id
  for (const subscription of Object.values(world.state.subscriptions)) {
    if (subscription.customer === customer.id) subscription.defaultPaymentMethod = null
  }
  world.emit('customer.updated', renderCustomer(customer), previousAttributes(before, renderCustomer(customer)))
}
