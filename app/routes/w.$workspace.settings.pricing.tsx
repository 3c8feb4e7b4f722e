import type { MetaFunction } from '@remix-run/node'
import { useLoaderData } from '@remix-run/react'
import { getBillingTimeline } from '#app/domain/analytics/billing-timeline.server.ts'
import { getCounterfactual } from '#app/domain/analytics/counterfactual.server.ts'
import { getWorkspaceMoney } from '#app/domain/workspaces/queries.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { PricingPage } from '#app/ui/pricing/pricing-page.tsx'
import { type PricingView, toPricingView } from '#app/ui/pricing/pricing-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Pricing · Keymargin' }]

export const loader = workspaceLoader('read:InferenceCall', async ({ ctx, workspace }) => {
  const [counterfactual, timeline, { platformChargeMode }] = await Promise.all([
    getCounterfactual(ctx),
    getBillingTimeline(ctx),
    getWorkspaceMoney(ctx),
  ])
  const { slug, planId } = workspace
  return toPricingView({ root: `/w/${slug}`, planId, platformMode: platformChargeMode, counterfactual, timeline })
})

export default function Pricing() {
  return <PricingPage view={useLoaderData<PricingView>()} />
}
