import type { StripeOperation } from '#app/generated/prisma/client.ts'
import { RunStopped } from '../errors.ts'
import { StripeCallError } from './stripe-call-error.ts'
import type { Receipt, RunStore, WriterPorts } from './writer-ports.ts'

/** Stripe keeps keys for at least 24 hours; an hour before that they are no longer relied on (stripe §2.3, case 8). */
const KEY_TRUSTED_MS = 23 * 60 * 60 * 1000
const MAX_ATTEMPTS = 5

export interface OperationSteps<T> {
  /** Look even where our log says that nothing was ever sent. */
  lookFirst?: boolean
  /** Looks whether the operation has happened already. */
  find: () => Promise<T | null>
  send: (idempotencyKey: string) => Promise<Receipt<T>>
  idOf: (value: T) => string
}

/**
 * One operation of the writer, exactly once (stripe §2.3 S): what was ever sent is looked for before it is sent again; an
 * unknown outcome keeps its key; only a failure that is known not to have happened, or a key older than a day, gets another.
 * @throws StripeCallError where the outcome stays unknown: come back later · RunStopped where a human must look
 */
export async function performOperation<T>(
  operation: StripeOperation,
  steps: OperationSteps<T>,
  { store, now }: Pick<WriterPorts, 'store' | 'now'>,
): Promise<T> {
  let current = operation
  if (current.state !== 'planned' || steps.lookFirst) {
    const found = await steps.find()
    if (found !== null) return adopt(current, found, steps, store, now())
  }
  let attempt = nextAttempt(current, now())
  for (;;) {
    const idempotencyKey = `keymargin:${current.runId}:${current.seq}:${attempt}`
    current = await store.markSent(current, attempt, idempotencyKey, now())
    try {
      const receipt = await steps.send(idempotencyKey)
      await store.markDone(current, steps.idOf(receipt.value), receipt, now())
      return receipt.value
    } catch (error) {
      if (!(error instanceof StripeCallError)) throw error
      const found = await afterFailure(current, error, steps, store, now())
      if (found !== null) return found
      if (attempt + 1 >= MAX_ATTEMPTS) throw error
      attempt += 1
    }
  }
}

function nextAttempt(operation: StripeOperation, now: Date): number {
  if (operation.state === 'failed') return operation.attempt + 1
  const age = operation.firstSentAt ? now.getTime() - operation.firstSentAt.getTime() : 0
  return operation.state === 'sent' && age > KEY_TRUSTED_MS ? operation.attempt + 1 : operation.attempt
}

/** @returns the object where it exists after all, null where the next attempt may go. @throws where neither is known */
async function afterFailure<T>(
  operation: StripeOperation,
  error: StripeCallError,
  steps: OperationSteps<T>,
  store: RunStore,
  now: Date,
): Promise<T | null> {
  const { outcome, code, param, status } = error.failure
  if (outcome === 'mismatch')
    throw RunStopped.held('idempotency_mismatch', `${operation.operation} ${operation.lineKey ?? ''}`)
  // Waiting helps: nothing happened, and the key stays good.
  if (!error.isSpentKey && (outcome === 'rate_limited' || outcome === 'key_in_use')) throw error
  const found = await steps.find()
  if (found !== null) return adopt(operation, found, steps, store, now)
  if (!error.isSpentKey && outcome === 'refused') {
    await store.markFailed(operation, code)
    throw refusal(operation, code, param, status)
  }
  if (!error.isSpentKey) throw error
  await store.markFailed(operation, code)
  await store.tellSpentKey(operation, code, now)
  return null
}

async function adopt<T>(
  operation: StripeOperation,
  found: T,
  steps: OperationSteps<T>,
  store: RunStore,
  now: Date,
): Promise<T> {
  await store.markDone(operation, steps.idOf(found), { requestId: null, replayed: false }, now)
  return found
}

function refusal(
  operation: StripeOperation,
  code: string,
  param: string | undefined,
  status: number | undefined,
): RunStopped {
  const detail = `${operation.operation}${operation.lineKey ? ` ${operation.lineKey}` : ''}: ${code}${param ? ` (${param})` : ''}, ${status ?? ''}`
  if (code === 'customer_tax_location_invalid') return RunStopped.held('tax_location', detail)
  if (code === 'invoice_not_editable') return RunStopped.held('not_editable', detail)
  if (code === 'resource_missing' && param === 'invoice') return RunStopped.held('invoice_missing', detail)
  return RunStopped.held('refused', detail)
}
