import { redirect } from '@remix-run/node'
import { finishOauthFlow } from '#app/domain/vault/finish-oauth-flow.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { sessionHash } from '#app/http/session.server.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

/** Where OpenRouter sends people back to. Always answered by the billing page, which says what came of it. */
export const loader = workspaceLoader('manage:Billing', async ({ ctx, workspace }, { request, params }) => {
  const outcome = await finishOauthFlow(ctx, {
    nonce: params.nonce ?? '',
    sessionHash: await sessionHash(request),
    code: new URL(request.url).searchParams.get('code'),
  })
  return redirect(`/w/${workspace.slug}/settings/billing?connect=${outcome}`)
})

/** Never seen: a page only so that failures are shown as one. */
export default function Connected() {
  return null
}
