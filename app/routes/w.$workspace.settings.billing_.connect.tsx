import { type MetaFunction, redirect } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { startOauthFlow } from '#app/domain/vault/start-oauth-flow.server.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import { sessionHash } from '#app/http/session.server.ts'
import { type Answer, AnswerNotice, fieldError } from '#app/ui/answer-notice.tsx'
import { ConnectOpenRouter } from '#app/ui/billing/connect-openrouter.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Connect OpenRouter · Keymargin' }]

const pathOf = (slug: string | undefined) => `/w/${slug}/settings/billing/connect`

export const loader = workspaceLoader('manage:Billing', async ({ workspace }) => ({ action: pathOf(workspace.slug) }))

export const action = workspaceAction({
  'connect-openrouter': intent({
    demand: 'manage:Billing',
    schema: z.strictObject({ limitUsd: z.string().max(40).default('') }),
    run: async (ctx, { limitUsd }, { request, params }) =>
      redirect(
        await startOauthFlow(ctx, {
          limitUsd,
          sessionHash: await sessionHash(request),
          callbackPath: pathOf(params.workspace),
        }),
      ),
  }),
})

/** Seen only where the start was refused: the form stands on the billing page. */
export default function Connect() {
  const { action } = useLoaderData<{ action: string }>()
  const answer = useActionData<Answer>()
  return (
    <>
      <PageHeading title="Connect OpenRouter" />
      <Panel>
        <AnswerNotice answer={answer} fields={['limitUsd']} />
        <ConnectOpenRouter action={action} limitError={fieldError(answer, 'limitUsd')} />
      </Panel>
    </>
  )
}
