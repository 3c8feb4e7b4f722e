/** The writer's protocol (stripe §2.2–2.3), without any input or output of its own: see writer-ports. */
import { type CalendarMonth, monthLastSecond, monthName, monthStart } from '#app/platform/calendar-month.ts'
import { FINAL_STATES, type InvoiceLine, type RunState } from '../billing.ts'
import { RunStopped } from '../errors.ts'
import { compareWithFrozen } from './compare-lines.ts'
import { performOperation } from './perform-operation.ts'
import type { RunBundle, StripeInvoice, StripeLine, WriterPorts } from './writer-ports.ts'

/**
 * Brings a run into Stripe from wherever an earlier attempt was cut off.
 * @throws StripeCallError where Stripe's state is unknown for now: come again
 */
export async function writeRun(bundle: RunBundle, ports: WriterPorts): Promise<RunState> {
  const { store, now } = ports
  const state = bundle.run.state as RunState
  if (FINAL_STATES.includes(state) || state === 'held') return state
  try {
    await store.markWriting(bundle.run, now())
    return await write(bundle, ports)
  } catch (error) {
    if (!(error instanceof RunStopped)) throw error
    await store.recordStopped(bundle.run, error, now())
    return error.state
  }
}

async function write(bundle: RunBundle, ports: WriterPorts): Promise<RunState> {
  const customer = await requireCustomer(bundle, ports)
  const draft = await ensureInvoice(bundle, customer, ports)
  if (draft.status === 'void') throw RunStopped.held('invoice_voided', draft.id)
  if (draft.status === 'draft') await ensureItems(bundle, customer, draft.id, ports)
  await requireEqual(bundle, draft, ports)
  if (draft.status === 'draft' && (await ports.waitsForReview?.(bundle.run, ports.now()))) return 'review'
  const finalized = draft.status === 'draft' ? await finalize(bundle, draft.id, ports) : draft
  await ports.store.recordDone(bundle.run, finalized, ports.now())
  return 'done'
}

/** Missing, deleted or of another currency: nothing may be written (stripe §4 cases 23, 24). */
async function requireCustomer({ run, workspace }: RunBundle, { stripe }: WriterPorts): Promise<string> {
  const id = workspace.stripeCustomerId
  if (!id) throw RunStopped.held('no_customer', workspace.name)
  const customer = await stripe.findCustomer(id)
  if (!customer) throw RunStopped.customerDeleted(id)
  if (customer.currency && customer.currency !== run.currency) {
    throw RunStopped.held('currency_mismatch', `customer ${customer.currency}, run ${run.currency}`)
  }
  return id
}

async function ensureInvoice(bundle: RunBundle, customer: string, ports: WriterPorts): Promise<StripeInvoice> {
  const { run } = bundle
  const { store, stripe, now } = ports
  const operation = operationOf(bundle, 'create_invoice', null)
  if (operation.stripeId) {
    const invoice = await stripe.findInvoice(operation.stripeId)
    if (!invoice) throw RunStopped.held('invoice_missing', operation.stripeId)
    if (!run.stripeInvoiceId) await store.recordInvoiceId(run, invoice.id, now())
    return invoice
  }
  const request = {
    customer,
    currency: run.currency,
    description: `${run.kind === 'correction' ? 'Correction of AI usage' : 'AI usage'}, ${monthName(run.month as CalendarMonth)} (UTC)`,
    footer: footerOf(bundle, ports.appOrigin),
    metadata: {
      run_id: run.id,
      workspace_id: run.workspaceId,
      period: run.month,
      kind: run.kind,
      revision: String(run.revision),
      lines_hash: run.linesHash,
      ...(run.callsHash && { calls_hash: run.callsHash }),
    },
  }
  const invoice = await performOperation(
    operation,
    {
      // A database restored from a backup does not know what it has sent; the run's id is the same all the same (case 80).
      lookFirst: true,
      // Our clock and Stripe's may disagree, so the list is not cut by time: a customer has few invoices.
      find: async () =>
        (await stripe.listInvoices(customer)).find((candidate) => candidate.metadata?.run_id === run.id) ?? null,
      send: (key) => stripe.createInvoice(request, key),
      idOf: (value) => value.id,
    },
    ports,
  )
  await store.recordInvoiceId(run, invoice.id, now())
  return invoice
}

function footerOf({ run, workspace }: RunBundle, appOrigin: string): string {
  const page = workspace.slug ? `/w/${workspace.slug}/settings/billing/invoices/${run.id}` : ''
  return `Every call behind every line: ${appOrigin}${page}`
}

/** One after the other: parallel items on one invoice run into Stripe's locks, and a retry then doubles lines (stripe §2.1). */
async function ensureItems(bundle: RunBundle, customer: string, invoice: string, ports: WriterPorts): Promise<void> {
  const { stripe } = ports
  for (const line of bundle.lines.filter(({ amountCents }) => amountCents > 0n)) {
    const operation = operationOf(bundle, 'create_item', line.lineKey)
    if (operation.stripeId) continue
    const request = itemRequest(bundle, line, customer, invoice)
    await performOperation<{ id: string }>(
      operation,
      {
        find: async () =>
          itemOf((await stripe.listLines(invoice)).find((found) => found.metadata.line_key === line.lineKey)),
        send: (key) => stripe.createInvoiceItem(request, key),
        idOf: (value) => value.id,
      },
      ports,
    )
  }
}

function itemRequest({ run }: RunBundle, line: InvoiceLine, customer: string, invoice: string) {
  return {
    customer,
    invoice,
    amount: Number(line.amountCents),
    currency: run.currency,
    description: line.calls ? `${line.description} (${line.calls.toLocaleString('en-US')} calls)` : line.description,
    period: { start: seconds(monthStart(line.usageMonth)), end: seconds(monthLastSecond(line.usageMonth)) },
    metadata: {
      run_id: run.id,
      line_key: line.lineKey,
      calls: line.calls.toString(),
      tokens_in: line.inputTokens.toString(),
      tokens_out: line.outputTokens.toString(),
      tier_total: line.tierPricePico.toString(),
      raw_total: line.rawCostPico.toString(),
      exact_pico: line.exactPico.toString(),
      price_book: line.priceBookVersion === null ? 'several' : String(line.priceBookVersion),
    },
  }
}

const seconds = (at: Date): number => at.getTime() / 1000

/** The item's own id, `ii_…`; the line's `il_…` is another and of no use for changes (stripe §2.2). */
function itemOf(line: StripeLine | undefined): { id: string } | null {
  const id = line?.parent?.invoice_item_details?.invoice_item
  return id ? { id } : null
}

/** The last look before it becomes final: every line, every amount, the sum, the owner (stripe §2.2, cases 16, 18). */
async function requireEqual(bundle: RunBundle, invoice: StripeInvoice, { store, stripe }: WriterPorts): Promise<void> {
  const current = (await stripe.findInvoice(invoice.id)) ?? invoice
  const found = await stripe.listLines(invoice.id)
  const difference = compareWithFrozen(bundle, current, found)
  if (difference) throw RunStopped.held(current.status === 'draft' ? 'lines_differ' : 'not_editable', difference)
  await store.recordItemIds(bundle.run, new Map(found.flatMap((line) => pairOf(line))))
}

function pairOf(line: StripeLine): [string, string][] {
  const item = itemOf(line)
  return item && line.metadata.line_key ? [[line.metadata.line_key, item.id]] : []
}

function finalize(bundle: RunBundle, invoice: string, ports: WriterPorts): Promise<StripeInvoice> {
  const { stripe } = ports
  return performOperation(
    operationOf(bundle, 'finalize_invoice', null),
    {
      find: async () => {
        const found = await stripe.findInvoice(invoice)
        return found && found.status !== 'draft' ? found : null
      },
      send: (key) => stripe.finalizeInvoice(invoice, key),
      idOf: (value) => value.id,
    },
    ports,
  )
}

function operationOf({ operations, run }: RunBundle, name: string, lineKey: string | null) {
  const found = operations.find((operation) => operation.operation === name && operation.lineKey === lineKey)
  if (!found) throw new Error(`Run ${run.id} has no planned ${name} ${lineKey ?? ''}`)
  return found
}
