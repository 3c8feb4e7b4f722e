import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { parseCallFilter } from '#app/domain/analytics/analytics.ts'
import { readUsage } from '#app/domain/analytics/queries.server.ts'
import { getUsageOfMonth, listInvoices } from '#app/domain/billing/queries.server.ts'
import { allows } from '#app/domain/permissions/permissions.ts'
import { isProviderId, type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { getProviderKeyStatus, listPurgeCertificates } from '#app/domain/vault/queries.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import type { Doorstep } from '#app/http/session.server.ts'
import { monthOf } from '#app/platform/calendar-month.ts'
import { notFound } from '#app/platform/errors.ts'
import { BillingPage } from '#app/ui/billing/billing-page.tsx'
import { type BillingView, toCertificateRow, toInvoiceRow, toUsageView } from '#app/ui/billing/billing-view.ts'
import type { KeyAnswer } from '#app/ui/billing/key-card.tsx'
import { type KeyCardView, savedKeyMessage, toKeyCard } from '#app/ui/billing/key-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Billing · Keymargin' }]

/** The provider of the page's one card; a plan that allows all of them shows OpenRouter's. */
const cardProvider = ({ allowedProviders }: Doorstep['workspace']): ProviderId | undefined =>
  allowedProviders.includes('*') ? 'openrouter' : allowedProviders.find(isProviderId)

async function loadKeyCard({ ctx, workspace }: Doorstep): Promise<KeyCardView | null> {
  const provider = cardProvider(workspace)
  if (!provider) return null
  const status = await getProviderKeyStatus(ctx, provider)
  const canManage = allows(ctx.ability, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const month = parseCallFilter(new URLSearchParams(), ctx.now())
  const carried = status && canManage ? (await readUsage(ctx, month)).workspace : null
  return toKeyCard({ provider, status, canManage, carried, endsAt: workspace.subscriptionEndsAt })
}

async function loadMoney({ ctx, workspace }: Doorstep): Promise<BillingView['money']> {
  if (!allows(ctx.ability, 'read:Invoice', { workspaceId: ctx.workspaceId })) return null
  const [usage, invoices] = await Promise.all([getUsageOfMonth(ctx, monthOf(ctx.now())), listInvoices(ctx)])
  const provider = providerOf(cardProvider(workspace) ?? 'openrouter')
  const root = `/w/${workspace.slug}`
  return { usage: toUsageView(usage, provider.name), invoices: invoices.map((invoice) => toInvoiceRow(root, invoice)) }
}

export const loader = workspaceLoader('read:ProviderKey', async (here) => {
  const [keyCard, money, certificates] = await Promise.all([
    loadKeyCard(here),
    loadMoney(here),
    listPurgeCertificates(here.ctx),
  ])
  const root = `/w/${here.workspace.slug}`
  const rows = certificates.map((certificate) => toCertificateRow(root, certificate))
  return { planName: here.workspace.planName, keyCard, money, certificates: rows } satisfies BillingView
})

const provider = z.enum(providerIds)

export const action = workspaceAction({
  'save-key': intent({
    demand: 'manage:Billing',
    // as long as the form may be: how long a key may be is checked, and explained, by its own format
    schema: z.strictObject({ provider, key: z.string() }),
    run: async (ctx, { provider, key }) => {
      const saved = await getProviderKeyStatus(ctx, provider)
      return savedKeyMessage(await saveProviderKey(ctx, { provider, credential: key, keyId: saved?.id }), provider)
    },
  }),
  'remove-key': intent({
    demand: 'manage:Billing',
    schema: z.strictObject({ provider }),
    run: async (ctx, input) => {
      const saved = await getProviderKeyStatus(ctx, input.provider)
      if (!saved) throw notFound('Provider key')
      await removeProviderKey(ctx, { keyId: saved.id })
      const message =
        'Key removed. From the next call on, calls run on the platform key at the tier price. What your key carried so far stays billed as margin.'
      return { message, warning: null }
    },
  }),
})

export default function Billing() {
  return <BillingPage view={useLoaderData<BillingView>()} answer={useActionData<KeyAnswer>()} />
}
