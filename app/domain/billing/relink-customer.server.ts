/** A workspace whose Stripe customer was deleted, or merged into another one, goes on with another customer. */
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { lockWorkspace } from '#app/domain/workspaces/change-plan.server.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { runBusy } from './errors.ts'
import { withCustomerLock, withRunLock } from './internal/advisory-lock.server.ts'
import {
  closePages,
  type FormerHolder,
  findFormerHolder,
  requireNothingLeft,
  takeOver,
} from './internal/former-customer.server.ts'
import { expireCheckout, listCheckouts } from './internal/stripe-checkout.server.ts'
import { listSubscriptions, readCustomer } from './internal/stripe-customers.server.ts'
import { syncEntitlement } from './sync-entitlement.server.ts'

export interface RelinkInput {
  /** Slug. */
  workspace: string
  customerId: string
}

export interface Relink {
  workspaceId: string
  /** The customer until now, with what it goes on paying for; null: there was none. */
  from: { id: string; state: 'there' | 'deleted' | 'unknown'; subscriptions: RunningSubscription[] } | null
  /** Subscriptions of the new one. */
  subscriptions: RunningSubscription[]
  /** The other workspace that was linked to the new one before, and was billed nothing there. */
  takenFrom: FormerHolder | null
}

/** One that has not ended. */
interface RunningSubscription {
  id: string
  status: string
}

const changed = () =>
  refused(
    'customer_changed',
    'The workspace, or the customer, was linked otherwise meanwhile. Look at it, then decide again.',
  )

const refused = (code: string, text: string) => new AppError('conflict', code, text, { field: 'customer' })

async function runningSubscriptions(customerId: string): Promise<RunningSubscription[]> {
  const subscriptions = await listSubscriptions(customerId)
  return subscriptions.flatMap(({ id, status, ended_at }) => (ended_at ? [] : [{ id, status }]))
}

const idsOf = (subscriptions: RunningSubscription[]): string[] => subscriptions.map(({ id }) => id)

async function readFrom(id: string): Promise<NonNullable<Relink['from']>> {
  const found = await readCustomer(id)
  if (typeof found === 'string') return { id, state: found, subscriptions: [] }
  return { id, state: 'there', subscriptions: await runningSubscriptions(id) }
}

/** Stripe must have it, alive, and billed in the workspace's currency. @throws AppError · StripeCallError */
async function requireCustomer(customerId: string, currency: string): Promise<void> {
  const found = await readCustomer(customerId)
  if (found === 'unknown')
    throw refused('customer_unknown', `Stripe has no customer ${customerId} under the key that is set here.`)
  if (found === 'deleted') throw refused('customer_deleted', `${customerId} was deleted in Stripe.`)
  if (found.currency && found.currency !== currency)
    throw refused(
      'currency_mismatch',
      `${customerId} is billed in ${found.currency.toUpperCase()}, the workspace in ${currency.toUpperCase()}.`,
    )
}

/**
 * What linking would do, without doing it.
 * @throws AppError not_found, bad_request `invalid_customer`, conflict `customer_same`, `customer_taken`, `customer_unknown`,
 * `customer_deleted`, `currency_mismatch`, `workspace_ended` · StripeCallError
 */
export async function readRelink(ctx: OperatorCtx, { workspace: slug, customerId }: RelinkInput): Promise<Relink> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  if (!/^cus_\w{1,250}$/.test(customerId))
    throw new AppError('bad_request', 'invalid_customer', 'Name a customer as cus_….', { field: 'customer' })
  const workspace = await inSystem((tx) => tx.workspace.findUnique({ where: { slug } }))
  if (!workspace) throw notFound('Workspace')
  const { id: workspaceId, stripeCustomerId: before } = workspace
  if (workspace.endedAt) throw refused('workspace_ended', `${slug} has ended: nothing is billed to it any more.`)
  if (before === customerId) throw refused('customer_same', `${customerId} is the customer of ${slug} already.`)
  const takenFrom = await inSystem((tx) => findFormerHolder(tx, workspaceId, customerId))
  await requireCustomer(customerId, workspace.currency)
  const subscriptions = await runningSubscriptions(customerId)
  if (takenFrom) await requireNothingLeft(takenFrom, customerId, idsOf(subscriptions))
  return { workspaceId, from: before === null ? null : await readFrom(before), subscriptions, takenFrom }
}

/**
 * Links a workspace to another customer, and makes it what that customer's subscriptions entitle to. Runs keep the customer that they
 * were billed to: all that are over, and those of which Stripe holds something under a customer that is still there. The others are
 * billed to the new one; those of a deleted customer are resumed by hand.
 * @returns what was linked, and what `syncEntitlement` made of it
 * @throws what `readRelink` throws; AppError conflict `run_busy` while a run is being written
 */
export async function relinkCustomer(ctx: OperatorCtx, input: RelinkInput): Promise<Relink & { outcome: string }> {
  const relink = await readRelink(ctx, input)
  const { workspaceId, from, takenFrom } = relink
  // In one order: two operators that exchange two customers do not wait for each other.
  const customers = [input.customerId, ...(from ? [from.id] : [])].sort()
  await locked(customers, withCustomerLock, async () => {
    const idle = await inSystem((tx) => unfinishedRuns(tx, workspaceId))
    if (from?.state === 'there') await closePlanPages(workspaceId, from.id)
    if (takenFrom) {
      await closePages(takenFrom, input.customerId)
      await requireNothingLeft(takenFrom, input.customerId, idsOf(relink.subscriptions))
    }
    await locked(idle, whileNobodyWrites, () => inSystem((tx) => link(tx, ctx, relink, input.customerId, idle)))
  })
  return { ...relink, outcome: await syncEntitlement({ workspaceId, cause: 'operator' }, ctx.now()) }
}

async function unfinishedRuns(tx: Tx, workspaceId: string): Promise<string[]> {
  const runs = await tx.invoiceRun.findMany({
    where: { workspaceId, state: { in: ['frozen', 'writing', 'review', 'held', 'uncollectable'] } },
    select: { id: true },
    orderBy: { id: 'asc' },
  })
  return runs.map(({ id }) => id)
}

/** A plan bought there later would be paid every month and entitle to nothing. Top-ups are granted whichever customer pays them. */
async function closePlanPages(workspaceId: string, customerId: string): Promise<void> {
  for (const { id, metadata } of await listCheckouts(customerId, 'open'))
    if (metadata?.purpose === 'plan' && metadata.workspace_id === workspaceId) await expireCheckout(id)
}

type Lock = <T>(name: string, work: () => Promise<T>) => Promise<T>

const locked = <T>([first, ...rest]: string[], lock: Lock, work: () => Promise<T>): Promise<T> =>
  first === undefined ? work() : lock(first, () => locked(rest, lock, work))

/** A writer that is at work has read whom it bills: it would make an invoice for the customer of before. */
const whileNobodyWrites: Lock = async (runId, work) => {
  let done = false
  const result = await withRunLock(runId, async () => {
    const value = await work()
    done = true
    return value
  })
  if (!done) throw runBusy()
  return result as Awaited<ReturnType<typeof work>>
}

/** @param idle runs that nobody writes meanwhile */
async function link(
  tx: Tx,
  ctx: OperatorCtx,
  { workspaceId, from, takenFrom }: Relink,
  customerId: string,
  idle: string[],
): Promise<void> {
  const at = ctx.now()
  const { stripeCustomerId } = await lockWorkspace(tx, workspaceId)
  // While the workspace is locked no run of it can be stored. One that was since the others were locked may have its writer.
  if ((await unfinishedRuns(tx, workspaceId)).some((id) => !idle.includes(id))) throw runBusy()
  if (stripeCustomerId !== (from?.id ?? null)) throw changed()
  const former = await findFormerHolder(tx, workspaceId, customerId)
  // Its pages are closed already, or it is nobody's: what was looked at above is what is taken over.
  if (former?.workspaceId !== takenFrom?.workspaceId) throw changed()
  if (former) await takeOver(tx, ctx, former, { workspaceId, customerId })
  const runs = from ? await keepCustomer(tx, workspaceId, from) : 0
  await tx.workspace.update({ where: { id: workspaceId }, data: { stripeCustomerId: customerId } })
  if (from) await resolveAlert(tx, 'customer_deleted', from.id, at)
  await resolveAlert(tx, 'stripe_customer_missing', workspaceId, at)
  await resolveAlert(tx, 'stripe_unknown_customer', customerId, at)
  await recordAudit(tx, {
    workspaceId,
    actor: ctx.actor,
    action: 'workspace.customer_linked',
    subjectType: 'workspace',
    subjectId: workspaceId,
    detail: { customer: customerId, before: from?.id ?? '', runsKept: runs },
    at,
  })
}

/** @returns how many runs stay with the customer of before */
const keepCustomer = (tx: Tx, workspaceId: string, { id, state }: NonNullable<Relink['from']>): Promise<number> =>
  tx.$executeRaw`
    UPDATE invoice_runs r SET stripe_customer_id = ${id}
    WHERE r.workspace_id = ${workspaceId}::uuid AND r.stripe_customer_id IS NULL AND (
      r.state IN ('done', 'done_zero', 'carried', 'superseded', 'settled')
      OR (${state === 'there'} AND (r.stripe_invoice_id IS NOT NULL OR EXISTS (SELECT FROM stripe_operations o
        WHERE o.workspace_id = r.workspace_id AND o.run_id = r.id AND o.state <> 'planned'))))`
