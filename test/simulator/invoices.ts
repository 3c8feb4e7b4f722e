/** The close of months: frozen by the product's own computeInvoice, brought into Stripe by the product's own writer. */
import type { UsageBucket } from '#app/domain/billing/billing.ts'
import { computeInvoice } from '#app/domain/billing/compute-invoice.ts'
import { plannedOperations, runIdOf, stateOf } from '#app/domain/billing/internal/frozen-run.ts'
import { StripeCallError } from '#app/domain/billing/internal/stripe-call-error.ts'
import { writeRun } from '#app/domain/billing/internal/write-run.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import type { ModelWorkspace } from './ledger-model.ts'
import * as ledger from './ledger-model.ts'
import { bundleOf, DatabaseAway, type ModelRun, storeOf, transact } from './run-log.ts'
import type { Process } from './turns.ts'
import type { SimulatedWorld } from './world.ts'

function bucketsOf(workspace: ModelWorkspace, month: string): UsageBucket[] {
  return [...workspace.rollups.values()]
    .filter((row) => row.billingMonth === month)
    .map(({ billingMonth: _, heldCalls: __, usageMonth, ...sums }) => ({ ...sums, usageMonth: parseMonth(usageMonth) }))
}

/** freezeInvoiceRun, in one step. @returns null where the month holds nothing */
function freeze(world: SimulatedWorld, workspace: ModelWorkspace, month: string): ModelRun | null {
  const id = runIdOf(workspace.id, parseMonth(month), 1)
  const known = world.runs.get(id)
  if (known) return known
  const buckets = bucketsOf(workspace, month)
  if (buckets.length === 0) return null
  ledger.closeMonth(workspace, month)
  const chain = world.chain.get(workspace.id) ?? []
  const openingResiduePico = chain.at(-1)?.closingResiduePico ?? 0n
  const invoice = computeInvoice({ month: parseMonth(month), buckets: bucketsOf(workspace, month), openingResiduePico })
  const operations = invoice.outcome === 'bill' ? plannedOperations(workspace.id, id, invoice.lines) : []
  const unsent = {
    attempt: 0,
    idempotencyKey: null,
    firstSentAt: null,
    lastSentAt: null,
    doneAt: null,
    stripeId: null,
    requestId: null,
    replayed: false,
    errorCode: null,
  }
  const run: ModelRun = {
    workspaceId: workspace.id,
    id,
    month,
    kind: 'ai_usage',
    revision: 1,
    state: stateOf(invoice.outcome),
    currency: 'usd',
    totalCents: invoice.totalCents,
    linesHash: invoice.linesHash,
    stripeInvoiceId: null,
    lines: invoice.lines,
    operations: operations.map((operation) => ({ ...unsent, ...operation })),
    customer: `cus_${workspace.id}`,
    openingResiduePico,
    exactPico: invoice.exactPico,
    closingResiduePico: invoice.closingResiduePico,
    calls: invoice.calls,
    stopped: null,
  }
  world.runs.set(id, run)
  world.chain.set(workspace.id, [...chain, run])
  return run
}

/** One job: freezes the month, and brings the run as far as it gets. Another job goes on from there. */
export async function close(
  world: SimulatedWorld,
  worker: Process,
  workspace: ModelWorkspace,
  month: string,
): Promise<void> {
  try {
    const run = await transact(world.turns, worker, world, () => freeze(world, workspace, month))
    if (!run) return
    // A connection that is cut loses its lock: two writers at once happen, and must do no harm.
    const locks = !world.random.chance(100)
    if (locks && world.locked.has(run.id)) return
    if (locks) world.locked.add(run.id)
    try {
      const bundle = await transact(world.turns, worker, world, () => bundleOf(run))
      await writeRun(bundle, {
        store: storeOf(world.runs, world.turns, worker, world),
        stripe: world.stripe.door(worker),
        appOrigin: 'http://localhost',
        now: () => new Date(world.now),
      })
    } finally {
      if (locks) world.locked.delete(run.id)
    }
  } catch (error) {
    if (!(error instanceof StripeCallError || error instanceof DatabaseAway)) throw error
  }
}
