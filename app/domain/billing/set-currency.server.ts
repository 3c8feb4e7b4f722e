import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { isCurrency, needsDollars } from '#app/domain/pricing/currency.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { findCustomer } from './internal/stripe.server.ts'

const refused = (code: string, text: string) => new AppError('conflict', code, text, { field: 'currency' })

/**
 * Bills a workspace by the price books of a currency, from the next call on. Refused where the amounts could not belong
 * together: the plan reckons with costs in dollars, nothing is priced in that currency, the Stripe customer is billed in another,
 * or an invoice was made already (stripe §2.4, §4 case 23).
 * @throws AppError bad_request, conflict with what does not fit · StripeCallError where Stripe cannot be asked
 */
export async function setWorkspaceCurrency(
  ctx: OperatorCtx,
  { workspace: slug, currency }: { workspace: string; currency: string },
): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  if (!isCurrency(currency))
    throw new AppError(
      'bad_request',
      'invalid_currency',
      'Enter a currency in three lower-case letters, such as eur.',
      {
        field: 'currency',
      },
    )
  const workspace = await inSystem((tx) => tx.workspace.findUnique({ where: { slug }, include: { plan: true } }))
  if (!workspace)
    throw new AppError('bad_request', 'unknown_workspace', `There is no workspace ${slug}.`, { field: 'workspace' })
  if (workspace.currency === currency) return
  const { plan, stripeCustomerId } = workspace
  const fee = plan.workspaceChargeMode === 'flat_fee' && plan.keyFeeUsd.gt(0) ? ['key_fee'] : []
  const inDollars = [plan.platformChargeMode, plan.workspaceChargeMode, ...fee].find(needsDollars)
  if (inDollars && currency !== 'usd')
    throw refused(
      'currency_needs_dollars',
      `The plan ${plan.name} charges by ${inDollars.replaceAll('_', ' ')}, which is reckoned in USD. A workspace on it is billed in USD.`,
    )
  const customer = stripeCustomerId ? await findCustomer(stripeCustomerId) : null
  if (customer?.currency && customer.currency !== currency)
    throw refused(
      'currency_mismatch',
      `The Stripe customer is billed in ${customer.currency.toUpperCase()}. One invoice cannot hold two currencies.`,
    )
  await inSystem(async (tx) => {
    const published = {
      currency,
      publishedAt: { not: null },
      OR: [{ workspaceId: null }, { workspaceId: workspace.id }],
    }
    if (!(await tx.priceBook.findFirst({ where: published })))
      throw refused('currency_without_prices', `No price book in ${currency.toUpperCase()} is published.`)
    if (await tx.invoiceRun.findFirst({ where: { workspaceId: workspace.id } }))
      throw refused('currency_fixed', 'The workspace was invoiced already: its currency stays as it is.')
    await tx.workspace.update({ where: { id: workspace.id }, data: { currency, keyEpoch: { increment: 1 } } })
    // After the update, which holds the workspace: a budget that is being made is seen or comes after.
    if (await tx.budget.findFirst({ where: { workspaceId: workspace.id } }))
      throw refused(
        'currency_has_budgets',
        `The workspace has budgets in ${workspace.currency.toUpperCase()}. Its owner must remove them first: a limit cannot be turned into another currency.`,
      )
    await recordAudit(tx, {
      workspaceId: workspace.id,
      actor: ctx.actor,
      action: 'workspace.currency_set',
      subjectType: 'workspace',
      subjectId: workspace.id,
      detail: { from: workspace.currency, to: currency },
      at: ctx.now(),
    })
  })
}
