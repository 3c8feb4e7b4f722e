/**
 * Stripe as a state machine, with the faults that matter to a writer: nothing executed and no answer; executed and no answer;
 * a failure kept under the key and replayed for ever; and people who change a draft in the Dashboard (stripe §1.3, §1.5, §2.3).
 */
import { StripeCallError, type StripeFailure } from '#app/domain/billing/internal/stripe-call-error.ts'
import type {
  InvoiceRequest,
  ItemRequest,
  Receipt,
  StripeDoor,
  StripeInvoice,
  StripeLine,
} from '#app/domain/billing/internal/writer-ports.ts'
import type { Random } from './random.ts'
import type { Process, Turns } from './turns.ts'

export interface ModelItem {
  id: string
  amount: number
  lineKey: string | null
}

export interface ModelInvoice {
  id: string
  customer: string
  currency: string
  status: 'draft' | 'open' | 'paid' | 'void'
  metadata: Record<string, string>
  items: ModelItem[]
  finalizedAt: number | null
  deleted: boolean
}

interface Kept {
  fingerprint: string
  at: number
  answer: unknown
  failure: StripeFailure | null
}

const keptMs = 24 * 3_600_000
const failure = (outcome: StripeFailure['outcome'], code: string, replayed = false): StripeFailure => ({
  outcome,
  code,
  param: undefined,
  status: undefined,
  replayed,
  requestId: undefined,
})

export class StripeModel {
  readonly invoices: ModelInvoice[] = []
  readonly #kept = new Map<string, Kept>()
  readonly #random: Random
  readonly #turns: Turns
  readonly #clock: () => number
  #serial = 0
  /** Faults per thousand requests. */
  faultRate = 0
  requests = 0

  constructor(random: Random, turns: Turns, clock: () => number) {
    this.#random = random
    this.#turns = turns
    this.#clock = clock
  }

  #id(prefix: string): string {
    this.#serial += 1
    return `${prefix}_${this.#serial}`
  }

  /** Stripe, as one process asks it. */
  door(process: Process): StripeDoor {
    const read = <T>(answer: () => T): Promise<T> => this.#read(process, answer)
    const write = <T>(key: string, request: unknown, execute: () => T): Promise<Receipt<T>> =>
      this.#write(process, key, JSON.stringify(request), execute)
    return {
      findCustomer: () => read(() => ({ currency: 'usd' })),
      findInvoice: (id) => read(() => this.#shown(this.invoices.find((one) => one.id === id && !one.deleted)) ?? null),
      listInvoices: (customer) =>
        read(() =>
          this.invoices
            .filter((one) => one.customer === customer && !one.deleted)
            .map((one) => this.#shown(one) as StripeInvoice)
            .reverse(),
        ),
      listLines: (id) => read(() => this.#lines(id)),
      createInvoice: (request, key) => write(key, request, () => this.#create(request)),
      createInvoiceItem: (request, key) => write(key, request, () => this.#addItem(request)),
      finalizeInvoice: (id, key) => write(key, { finalize: id }, () => this.#finalize(id)),
    }
  }

  async #read<T>(process: Process, answer: () => T): Promise<T> {
    await this.#turns.turn(process)
    this.requests += 1
    if (this.#random.chance(this.faultRate)) {
      const rate = this.#random.chance(500)
      throw new StripeCallError('read', failure(rate ? 'rate_limited' : 'unknown', rate ? 'rate_limit' : 'no_answer'))
    }
    return answer()
  }

  async #write<T>(process: Process, key: string, fingerprint: string, execute: () => T): Promise<Receipt<T>> {
    await this.#turns.turn(process)
    this.requests += 1
    const kept = this.#kept.get(key)
    if (kept && this.#clock() - kept.at <= keptMs) return this.#replay(kept, fingerprint)
    const fault = this.#random.chance(this.faultRate) ? this.#random.below(6) : -1
    const keep = (answer: unknown, failed: StripeFailure | null) =>
      this.#kept.set(key, { fingerprint, at: this.#clock(), answer, failure: failed })
    if (fault === 0) throw new StripeCallError('write', failure('unknown', 'no_answer'))
    if (fault === 1) throw new StripeCallError('write', failure('rate_limited', 'rate_limit'))
    if (fault === 2 || fault === 3) {
      // Begun and broken off: nothing happened, and the failure is what this key answers from now on.
      const failed = fault === 2 ? failure('rate_limited', 'lock_timeout') : failure('unknown', 'api_error')
      keep(null, { ...failed, replayed: true })
      throw new StripeCallError('write', failed)
    }
    const answer = this.#execute(execute, keep)
    if (fault === 4) throw new StripeCallError('write', failure('unknown', 'cut_off'))
    if (fault === 5) {
      // Executed, and then something broke: the key answers with the failure, the object is there.
      keep(null, failure('unknown', 'api_error', true))
      throw new StripeCallError('write', failure('unknown', 'api_error'))
    }
    return { value: structuredClone(answer), requestId: null, replayed: false }
  }

  #execute<T>(execute: () => T, keep: (answer: unknown, failed: StripeFailure | null) => void): T {
    try {
      const answer = execute()
      keep(structuredClone(answer), null)
      return answer
    } catch (error) {
      if (error instanceof StripeCallError) keep(null, { ...error.failure, replayed: true })
      throw error
    }
  }

  #replay<T>(kept: Kept, fingerprint: string): Receipt<T> {
    if (kept.fingerprint !== fingerprint) throw new StripeCallError('write', failure('mismatch', 'idempotency_error'))
    if (kept.failure) throw new StripeCallError('write', kept.failure)
    return { value: structuredClone(kept.answer) as T, requestId: null, replayed: true }
  }

  #editable(id: string): ModelInvoice {
    const invoice = this.invoices.find((one) => one.id === id && !one.deleted)
    if (!invoice) throw new StripeCallError('write', { ...failure('refused', 'resource_missing'), param: 'invoice' })
    if (invoice.status !== 'draft') throw new StripeCallError('write', failure('refused', 'invoice_not_editable'))
    return invoice
  }

  #create(request: InvoiceRequest): StripeInvoice {
    const { customer, currency, metadata } = request
    const invoice: ModelInvoice = {
      id: this.#id('in'),
      customer,
      currency,
      status: 'draft',
      metadata: { ...metadata },
      items: [],
      finalizedAt: null,
      deleted: false,
    }
    this.invoices.push(invoice)
    return this.#shown(invoice) as StripeInvoice
  }

  #addItem({ invoice, amount, metadata }: ItemRequest): { id: string } {
    const item = { id: this.#id('ii'), amount, lineKey: metadata.line_key ?? null }
    this.#editable(invoice).items.push(item)
    return { id: item.id }
  }

  #finalize(id: string): StripeInvoice {
    const invoice = this.#editable(id)
    invoice.status = this.#random.chance(800) ? 'paid' : 'open'
    invoice.finalizedAt = this.#clock()
    return this.#shown(invoice) as StripeInvoice
  }

  /** The fields that the writer reads. */
  #shown(invoice: ModelInvoice | undefined): StripeInvoice | undefined {
    if (!invoice) return undefined
    const subtotal = invoice.items.reduce((sum, item) => sum + item.amount, 0)
    const { id, customer, currency, status, metadata } = invoice
    const finalized = invoice.finalizedAt === null ? null : Math.floor(invoice.finalizedAt / 1000)
    return {
      object: 'invoice',
      id,
      customer,
      currency,
      status,
      metadata: { ...metadata },
      number: finalized === null ? null : `N-${id}`,
      subtotal,
      subtotal_excluding_tax: subtotal,
      hosted_invoice_url: null,
      status_transitions: { finalized_at: finalized },
    } as unknown as StripeInvoice
  }

  #lines(id: string): StripeLine[] {
    const invoice = this.invoices.find((one) => one.id === id && !one.deleted)
    return (invoice?.items ?? []).map(
      (item) =>
        ({
          id: `il_${item.id}`,
          amount: item.amount,
          metadata: item.lineKey === null ? {} : { line_key: item.lineKey },
          parent: { invoice_item_details: { invoice_item: item.id } },
        }) as unknown as StripeLine,
    )
  }

  /** What an invoice is in the end, by nobody's request. */
  holds(id: string): { invoice: StripeInvoice; lines: StripeLine[] } | null {
    const invoice = this.#shown(this.invoices.find((one) => one.id === id && !one.deleted))
    return invoice ? { invoice, lines: this.#lines(id) } : null
  }

  /** Somebody in the Dashboard. @returns what was done to the draft of a run, or null where there is none to touch */
  meddle(): { runId: string; deed: string } | null {
    const drafts = this.invoices.filter((one) => one.status === 'draft' && !one.deleted)
    if (drafts.length === 0) return null
    const draft = this.#random.pick(drafts)
    const deed = this.#random.pick(['delete', 'edit', 'finalize', 'void', 'add'])
    if (deed === 'delete') draft.deleted = true
    if (deed === 'edit' && draft.items[0]) draft.items[0].amount += 1
    if (deed === 'finalize') Object.assign(draft, { status: 'open', finalizedAt: this.#clock() })
    if (deed === 'void') draft.status = 'void'
    if (deed === 'add') draft.items.push({ id: this.#id('ii'), amount: 500, lineKey: null })
    return { runId: draft.metadata.run_id ?? '', deed }
  }
}
