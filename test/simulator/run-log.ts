/** Invoice runs and their operations log as a state machine: what run-store and the freeze write, each step one transaction. */
import type { InvoiceLine, RunState } from '#app/domain/billing/billing.ts'
import type { RunStopped } from '#app/domain/billing/errors.ts'
import type { RunBundle, RunStore, WrittenRun } from '#app/domain/billing/internal/writer-ports.ts'
import type { StripeOperation } from '#app/generated/prisma/client.ts'
import type { Pico } from '#app/platform/pico.ts'
import type { Process, Turns } from './turns.ts'

export interface ModelRun extends WrittenRun {
  lines: InvoiceLine[]
  operations: StripeOperation[]
  customer: string
  openingResiduePico: Pico
  exactPico: Pico
  closingResiduePico: Pico
  calls: bigint
  stopped: RunStopped | null
}

export class DatabaseAway extends Error {}

export interface Faults {
  /** The transaction did not happen; it happened, and the answer was lost; or null: neither. */
  next(): 'not_done' | 'answer_lost' | null
}

/** Runs one transaction of a process, in one step, with the faults a connection has. */
export async function transact<T>(turns: Turns, process: Process, faults: Faults, body: () => T): Promise<T> {
  await turns.turn(process)
  const fault = faults.next()
  if (fault === 'not_done') throw new DatabaseAway()
  const result = body()
  if (fault === 'answer_lost') throw new DatabaseAway()
  return result
}

/** The log, as one process writes it. */
export function storeOf(runs: Map<string, ModelRun>, turns: Turns, process: Process, faults: Faults): RunStore {
  const step = <T>(body: () => T): Promise<T> => transact(turns, process, faults, body)
  const runOf = (id: string): ModelRun => {
    const run = runs.get(id)
    if (!run) throw new Error(`no run ${id}`)
    return run
  }
  const change = (operation: StripeOperation, data: Partial<StripeOperation>): StripeOperation => {
    const row = runOf(operation.runId).operations.find((one) => one.seq === operation.seq)
    if (!row) throw new Error('no such operation')
    return { ...Object.assign(row, data) }
  }
  return {
    markWriting: (run) =>
      step(() => {
        const row = runOf(run.id)
        if (row.state === 'frozen') row.state = 'writing'
      }),
    markSent: (operation, attempt, idempotencyKey, now) =>
      step(() => {
        const again = operation.state === 'sent' && operation.attempt === attempt
        const firstSentAt = again ? (operation.firstSentAt ?? now) : now
        return change(operation, {
          state: 'sent',
          attempt,
          idempotencyKey,
          firstSentAt,
          lastSentAt: now,
          errorCode: null,
        })
      }),
    markDone: (operation, stripeId, receipt, now) =>
      step(() =>
        change(operation, { state: 'done', stripeId, replayed: receipt.replayed, doneAt: now, errorCode: null }),
      ),
    markFailed: (operation, errorCode) => step(() => change(operation, { state: 'failed', errorCode })),
    recordInvoiceId: (run, stripeInvoiceId) =>
      step(() => {
        runOf(run.id).stripeInvoiceId = stripeInvoiceId
      }),
    recordItemIds: () => step(() => {}),
    recordDone: (run, _invoice, now) =>
      step(() => {
        const row = runOf(run.id)
        row.state = 'done'
        for (const operation of row.operations) Object.assign(operation, { state: 'done', doneAt: now })
      }),
    recordStopped: (run, stopped) =>
      step(() => {
        const row = runOf(run.id)
        row.state = stopped.state satisfies RunState
        row.stopped = stopped
      }),
    tellSpentKey: () => step(() => {}),
  }
}

/** What loadRun answers: a copy, as a query does. */
export function bundleOf(run: ModelRun): RunBundle {
  const { lines, operations, customer, ...rest } = run
  return {
    run: rest,
    lines,
    operations: operations.map((operation) => ({ ...operation })),
    workspace: { name: run.workspaceId, stripeCustomerId: customer },
  }
}
