/** A customer that was linked to the wrong workspace, and goes to the right one. */
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import type { OperatorCtx } from '#app/domain/permissions/permissions.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { listInvoices } from './stripe.server.ts'
import { expireCheckout, listCheckouts } from './stripe-checkout.server.ts'

/** The other workspace whose customer it was. */
export interface FormerHolder {
  workspaceId: string
  slug: string
  subscriptionId: string | null
}

const taken = (text: string) => new AppError('conflict', 'customer_taken', text, { field: 'customer' })

/**
 * @returns the other workspace that had the customer before and was billed nothing there; null: none had it
 * @throws AppError conflict `customer_taken` where another has it, or something of another's is left with it: linked here, it would mix
 * up whose invoices are whose
 */
export async function findFormerHolder(tx: Tx, workspaceId: string, id: string): Promise<FormerHolder | null> {
  const held = await tx.stripeCustomer.findUnique({ where: { id }, include: { workspace: true } })
  if (!held || held.workspaceId === workspaceId) return null
  const { slug, stripeCustomerId, stripeSubscriptionId } = held.workspace
  if (stripeCustomerId === id) throw taken(`${id} is the customer of ${slug}.`)
  const sent = { OR: [{ stripeInvoiceId: { not: null } }, { operations: { some: { state: { not: 'planned' } } } }] }
  const billed = await tx.invoiceRun.count({
    where: { workspaceId: held.workspaceId, stripeCustomerId: id, ...sent },
  })
  if (billed > 0) throw taken(`${id} was the customer of ${slug}, which was billed there.`)
  return { workspaceId: held.workspaceId, slug, subscriptionId: stripeSubscriptionId }
}

/**
 * What only Stripe knows of it: what people of the workspace paid there, what was billed there, and the plan that its subscription gives.
 * @param subscriptions of the customer, ids
 * @throws AppError conflict `customer_taken` · StripeCallError
 */
export async function requireNothingLeft(
  { workspaceId, slug, subscriptionId }: FormerHolder,
  customerId: string,
  subscriptions: string[],
): Promise<void> {
  if (subscriptionId && subscriptions.includes(subscriptionId))
    throw taken(
      `${customerId} was the customer of ${slug}, whose plan still follows its subscription ${subscriptionId}.`,
    )
  const paid = await listCheckouts(customerId, 'complete')
  if (paid.some(({ metadata }) => metadata?.workspace_id === workspaceId))
    throw taken(`${customerId} was the customer of ${slug}, whose people paid through Checkout there.`)
  // A database that was restored to before it does not know them; there its months are closed again, and find what was billed.
  const invoice = (await listInvoices(customerId)).find(({ metadata }) => metadata?.workspace_id === workspaceId)
  if (invoice) throw taken(`${customerId} was the customer of ${slug}, whose invoice ${invoice.id} is there.`)
}

/** Pages of the workspace's where its people could still pay for the customer. @throws StripeCallError */
export async function closePages({ workspaceId }: FormerHolder, customerId: string): Promise<void> {
  for (const { id, metadata } of await listCheckouts(customerId, 'open'))
    if (metadata?.workspace_id === workspaceId) await expireCheckout(id)
}

/** Its events find the workspace that takes it over from here on. The one before is not told whose it is: that is another tenant. */
export async function takeOver(
  tx: Tx,
  ctx: OperatorCtx,
  former: FormerHolder,
  to: { workspaceId: string; customerId: string },
): Promise<void> {
  await tx.$executeRaw`UPDATE stripe_customers SET workspace_id = ${to.workspaceId}::uuid WHERE id = ${to.customerId}`
  await recordAudit(tx, {
    workspaceId: former.workspaceId,
    actor: ctx.actor,
    action: 'workspace.customer_released',
    subjectType: 'workspace',
    subjectId: former.workspaceId,
    detail: { customer: to.customerId },
    at: ctx.now(),
  })
}
