import { Anchor } from '@mantine/core'
import { type MetaFunction, redirect } from '@remix-run/node'
import { Link, useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { openBillingPortal, startPlanCheckout } from '#app/domain/billing/start-checkout.server.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import { type Answer, AnswerNotice } from '#app/ui/answer-notice.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Payment · Keymargin' }]

export const loader = workspaceLoader('manage:Billing', async ({ workspace }) => ({
  settings: `/w/${workspace.slug}/settings`,
}))

const demand = 'manage:Billing' as const

/** Each answers with a page of Stripe's. */
export const action = workspaceAction({
  'buy-plan': intent({
    demand,
    schema: z.strictObject({ planId: z.string().max(100) }),
    run: async (ctx, input) => redirect(await startPlanCheckout(ctx, input)),
  }),
  'open-portal': intent({
    demand,
    schema: z.strictObject({}),
    run: async (ctx) => redirect(await openBillingPortal(ctx)),
  }),
})

/** Seen only where the start was refused, or its address was typed: the forms stand on the billing page. */
export default function Payment() {
  const { settings } = useLoaderData<{ settings: string }>()
  const answer = useActionData<Answer>()
  return (
    <>
      <PageHeading title="Payment">
        Nothing is paid here: plans are bought from Billing, credits from Credits.
      </PageHeading>
      <Panel>
        <AnswerNotice answer={answer} />
        <Anchor component={Link} to={`${settings}/billing`}>
          Back to Billing
        </Anchor>
      </Panel>
    </>
  )
}
