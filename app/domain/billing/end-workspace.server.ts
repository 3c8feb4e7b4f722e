import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { purgeWorkspaceKeys } from '#app/domain/vault/purge-workspace-keys.server.ts'
import { lockWorkspace } from '#app/domain/workspaces/change-plan.server.ts'
import { type CalendarMonth, monthOf } from '#app/platform/calendar-month.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { findOpenMonths } from './close-month.server.ts'
import { freezeInvoiceRun } from './freeze-invoice-run.server.ts'
import { expireCheckout, listCheckouts } from './internal/stripe-checkout.server.ts'
import { cancelSubscription, listSubscriptions } from './internal/stripe-customers.server.ts'

export interface EndedWorkspace {
  /** Months that were closed by it, the running one too, and their runs. */
  runs: { month: CalendarMonth; runId: string }[]
  /** People who belonged to no other workspace: their names and addresses are gone. */
  peopleForgotten: number
}

/**
 * Ends a workspace for good (stripe §4 case 81): its subscriptions end, its calls are refused, keys are destroyed and tokens
 * revoked; what is not billed yet is invoiced at once, the running month included. Ledger, invoices, audit and the name that
 * stands on invoices stay; people, and what they typed, do not. Asked again it goes on where it was.
 * @throws AppError forbidden, not_found · StripeCallError: ask again
 */
export async function endWorkspace(
  ctx: OperatorCtx,
  { workspaceId }: { workspaceId: string },
): Promise<EndedWorkspace> {
  authorize(ctx, 'operate:Platform', { workspaceId })
  const now = ctx.now()
  const { stripeCustomerId } = await inSystem((tx) => lockWorkspace(tx, workspaceId))
  if (stripeCustomerId) await endSubscriptions(stripeCustomerId)
  // Pages for a customer of before are in no list of the present one's.
  const pages = await inSystem((tx) => tx.checkout.findMany({ where: { workspaceId, status: 'open' } }))
  for (const { id } of pages) await expireCheckout(id)
  await inSystem((tx) => stopUse(tx, ctx, workspaceId, now))
  const open = (await inSystem((tx) => findOpenMonths(tx, monthOf(now)))).filter(
    (one) => one.workspaceId === workspaceId,
  )
  const runs: EndedWorkspace['runs'] = []
  for (const { month } of open) {
    const frozen = await freezeInvoiceRun({ workspaceId, month, now, final: true })
    if (frozen) runs.push({ month, runId: frozen.runId })
  }
  return { runs, peopleForgotten: await inSystem((tx) => forgetPeople(tx, workspaceId)) }
}

/** And what waits at Checkout: paid after this, it would begin another, or buy credits that nobody can use. */
async function endSubscriptions(customer: string): Promise<void> {
  for (const session of await listCheckouts(customer, 'open')) await expireCheckout(session.id)
  for (const subscription of await listSubscriptions(customer))
    if (!subscription.ended_at) await cancelSubscription(subscription.id)
}

async function stopUse(tx: Tx, { actor }: OperatorCtx, workspaceId: string, at: Date): Promise<void> {
  const { planId } = await lockWorkspace(tx, workspaceId)
  const { count } = await tx.workspace.updateMany({
    where: { id: workspaceId, endedAt: null },
    data: { endedAt: at, suspendedAt: at, subscriptionStatus: 'canceled', keyEpoch: { increment: 1 } },
  })
  // What a person called a token or wrote into the list is theirs, not the ledger's.
  const gone = { name: 'removed', displayStart: '' }
  await tx.gatewayToken.updateMany({ where: { workspaceId, revokedAt: null }, data: { revokedAt: at } })
  await tx.gatewayToken.updateMany({ where: { workspaceId }, data: gone })
  const cause = { cause: 'workspace_ended', causeReference: null, fromPlanId: planId, toPlanId: null }
  await purgeWorkspaceKeys(tx, { workspaceId, ...cause, actor, at })
  if (count === 0) return
  const subject = { subjectType: 'workspace', subjectId: workspaceId, detail: { plan: planId } }
  await recordAudit(tx, { workspaceId, actor, action: 'workspace.ended', ...subject, at })
}

/** @returns how many people belonged nowhere else */
async function forgetPeople(tx: Tx, workspaceId: string): Promise<number> {
  const members = await tx.member.findMany({ where: { workspaceId }, select: { userId: true } })
  await tx.member.deleteMany({ where: { workspaceId } })
  const ids = members.map(({ userId }) => userId)
  const alone = { id: { in: ids }, members: { none: {} }, operator: null }
  const people = await tx.user.findMany({ where: alone, select: { id: true } })
  for (const { id } of people) {
    await tx.session.deleteMany({ where: { userId: id } })
    await tx.account.deleteMany({ where: { userId: id } })
    const nobody = { name: 'Former member', email: `former-${id}@invalid`, image: null, emailVerified: false }
    await tx.user.update({ where: { id }, data: nobody })
  }
  return people.length
}
