/** What a test or an operator may do behind Stripe's back: state no API call can make, time, and events of any kind. */
import { z } from 'zod'
import { closeDispute, openDispute } from './charges.ts'
import { type Payment, payCheckout, settleDelayed } from './checkout-payment.ts'
import { checkoutNamed } from './checkout-sessions.ts'
import { renderCustomer } from './customers.ts'
import { invalid, missing } from './errors.ts'
import type { FaultPlan } from './faults.ts'
import { collect, invoiceNamed } from './invoice-lifecycle.ts'
import { renderInvoice } from './invoice-object.ts'
import { previousAttributes } from './operation.ts'
import { passTime } from './passing-time.ts'
import { actAtPortal, type PortalAct, portalNamed } from './portal-sessions.ts'
import type { CustomerRecord, EventRecord, InvoiceRecord, SubscriptionRecord } from './records.ts'
import { endSubscription, renderSubscription } from './subscription-object.ts'
import type { WebhookKnobs, WebhookPump } from './webhooks.ts'
import type { World } from './world.ts'

const EVENT_OF_STATUS: Partial<Record<SubscriptionRecord['status'], string>> = {
  paused: 'customer.subscription.paused',
}

export class SandboxControl {
  readonly #world: World
  readonly #pump: WebhookPump
  readonly #faults: FaultPlan

  constructor(world: World, pump: WebhookPump, faults: FaultPlan) {
    this.#world = world
    this.#pump = pump
    this.#faults = faults
  }

  /** Dunning, trials and pauses in one stroke: sets the fields and sends the event Stripe would. `canceled` ends it. */
  overrideSubscription(id: string, change: Partial<SubscriptionRecord>): object {
    const subscription = this.#world.state.subscriptions[id]
    if (!subscription) throw missing('subscription', id)
    const before = renderSubscription(this.#world, subscription)
    const resumed = subscription.status === 'paused' && change.status === 'active'
    if (change.status === 'canceled') {
      Object.assign(subscription, change)
      endSubscription(this.#world, subscription)
    } else {
      const pausedAt = change.status === 'paused' ? this.#world.seconds() : change.status ? null : subscription.pausedAt
      Object.assign(subscription, { pausedAt }, change)
      const after = renderSubscription(this.#world, subscription)
      const special = resumed ? 'customer.subscription.resumed' : EVENT_OF_STATUS[subscription.status]
      this.#world.emit('customer.subscription.updated', after, previousAttributes(before, after))
      if (special && change.status) this.#world.emit(special, after)
    }
    this.#world.persist()
    return renderSubscription(this.#world, subscription)
  }

  /** Somebody in the Dashboard changes an invoice: its status, its metadata, anything. */
  overrideInvoice(id: string, change: Partial<InvoiceRecord>): object {
    const invoice = invoiceNamed(this.#world, id)
    Object.assign(invoice, change)
    this.#world.emit('invoice.updated', renderInvoice(this.#world, invoice))
    this.#world.persist()
    return renderInvoice(this.#world, invoice)
  }

  /** One more attempt to collect, as Stripe's retries would make. */
  retryPayment(id: string): boolean {
    const paid = collect(this.#world, invoiceNamed(this.#world, id))
    this.#world.persist()
    return paid
  }

  /** Sends an event again, or one with another envelope: another API version, live mode, another time. */
  sendEvent(type: string, object: object, envelope: Partial<EventRecord> = {}): EventRecord {
    const keep = this.#world.onEvent
    this.#world.onEvent = () => {}
    const event = Object.assign(this.#world.emit(type, object), envelope)
    this.#world.onEvent = keep
    this.#pump.enqueue(event)
    this.#world.persist()
    return event
  }

  resendEvent(id: string): void {
    const event = this.#world.state.events[id]
    if (!event) throw missing('event', id)
    this.#pump.enqueue(event)
  }

  /** What falls due in between happens, each at its own time; going back undoes nothing. */
  setClock(to: Date): void {
    this.#world.setClock(to)
    passTime(this.#world, null, this.#world.seconds())
    this.#world.persist()
  }

  advanceClock(milliseconds: number): void {
    this.setClock(new Date(this.#world.now() + milliseconds))
  }

  /** What a person does on Checkout's page. @throws StripeApiError as the page would say */
  payCheckout(id: string, payment: Payment, address?: CustomerRecord['address']): void {
    payCheckout(this.#world, checkoutNamed(this.#world, id), payment, address)
    this.#world.persist()
  }

  /** The bank's answer to a debit, now. */
  settleCheckout(id: string, succeeded: boolean): void {
    settleDelayed(this.#world, checkoutNamed(this.#world, id), succeeded)
    this.#world.persist()
  }

  /** What a person does on the portal's page. */
  actAtPortal(id: string, input: PortalAct): void {
    actAtPortal(this.#world, portalNamed(this.#world, id), input)
    this.#world.persist()
  }

  /** The bank takes the money of an invoice's charge back. @returns the dispute's id */
  dispute(invoice: string): string {
    const charge = Object.values(this.#world.state.charges).find((one) => one.invoice === invoice)
    if (!charge) throw missing('charge', invoice)
    return openDispute(this.#world, charge.id).id
  }

  closeDispute(id: string, status: 'won' | 'lost'): void {
    closeDispute(this.#world, id, status)
  }

  /** More money came than was asked for, as a bank transfer can bring it. */
  overpay(id: string, amount: number): void {
    const invoice = invoiceNamed(this.#world, id)
    invoice.amountOverpaid = (invoice.amountOverpaid ?? 0) + amount
    this.#world.emit('invoice.overpaid', renderInvoice(this.#world, invoice))
  }

  /** The control API over HTTP. @throws StripeApiError 400 or 404. */
  handle(method: string, pathname: string, body: string): object {
    if (method === 'GET' && pathname === '/_sandbox/state') return this.#summary()
    if (method !== 'POST') throw missing('control', pathname)
    const input = body === '' ? {} : (JSON.parse(body) as unknown)
    if (pathname === '/_sandbox/clock') return this.#clock(clockBody.parse(input))
    if (pathname === '/_sandbox/webhook') return this.#webhook(webhookBody.parse(input))
    if (pathname === '/_sandbox/faults') {
      this.#faults.add(faultBody.parse(input))
      return { ok: true }
    }
    const [, noun, id, verb] = /^\/_sandbox\/(subscriptions|invoices|events)\/([^/]+)\/(\w+)$/.exec(pathname) ?? []
    if (noun === 'subscriptions' && id && verb === 'override')
      return this.overrideSubscription(id, statusBody.parse(input))
    if (noun === 'invoices' && id && verb === 'retry') return { paid: this.retryPayment(id) }
    if (noun === 'events' && id && verb === 'resend') {
      this.resendEvent(id)
      return { ok: true }
    }
    throw invalid(`No such control: ${pathname}`)
  }

  #clock(input: z.infer<typeof clockBody>): object {
    if (input.set) this.setClock(new Date(input.set))
    if (input.advanceSeconds) this.advanceClock(input.advanceSeconds * 1000)
    return { now: new Date(this.#world.now()).toISOString() }
  }

  #webhook(input: z.infer<typeof webhookBody>): object {
    const { url, secret, secondSecret, ...knobs } = input
    if (url && secret) this.#pump.endpoint = { url, secret, secondSecret }
    this.#pump.knobs = { ...this.#pump.knobs, ...(knobs as WebhookKnobs) }
    return { url: this.#pump.endpoint?.url ?? null }
  }

  #summary(): object {
    const { state } = this.#world
    return {
      now: new Date(this.#world.now()).toISOString(),
      customers: Object.values(state.customers).map(renderCustomer),
      subscriptions: Object.values(state.subscriptions).map((item) => renderSubscription(this.#world, item)),
      invoices: Object.values(state.invoices).map((item) => renderInvoice(this.#world, item)),
      events: Object.keys(state.events).length,
    }
  }
}

const clockBody = z.strictObject({ set: z.iso.datetime().optional(), advanceSeconds: z.number().int().optional() })
const webhookBody = z.strictObject({
  url: z.url().optional(),
  secret: z.string().optional(),
  secondSecret: z.string().optional(),
  copies: z.number().int().min(1).max(100).optional(),
  reorderSeed: z.number().int().optional(),
  delayMs: z.number().int().min(0).optional(),
  timestampSkewSeconds: z.number().int().optional(),
})
const faultBody = z.strictObject({
  operation: z.string(),
  nth: z.number().int().min(1).optional(),
  times: z.number().int().min(1).optional(),
  when: z.enum(['before', 'after']),
  effect: z.enum([
    'rate_limit',
    'lock_timeout',
    'server_error',
    'conflict',
    'not_found_without_error',
    'timeout',
    'socket_close',
    'malformed_json',
    'slow',
  ]),
  delayMs: z.number().int().optional(),
})
const statusBody = z.strictObject({
  status: z.enum([
    'active',
    'canceled',
    'incomplete',
    'incomplete_expired',
    'past_due',
    'paused',
    'trialing',
    'unpaid',
  ]),
})
