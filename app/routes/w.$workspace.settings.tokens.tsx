import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { createGatewayToken } from '#app/domain/tokens/create-gateway-token.server.ts'
import { findExampleModel } from '#app/domain/tokens/example-model.server.ts'
import { listGatewayTokens } from '#app/domain/tokens/queries.server.ts'
import { revokeGatewayToken } from '#app/domain/tokens/revoke-gateway-token.server.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import { env } from '#app/platform/env.server.ts'
import { type TokenAnswer, TokensPage, type TokensView } from '#app/ui/tokens/tokens-page.tsx'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Gateway tokens · Keymargin' }]

export const loader = workspaceLoader('read:GatewayToken', async ({ ctx, workspace }) => {
  const [example, tokens] = await Promise.all([findExampleModel(ctx), listGatewayTokens(ctx)])
  const billing = `/w/${workspace.slug}/settings/billing`
  return { origin: env().appOrigin, billing, ...example, tokens } satisfies TokensView
})

export const action = workspaceAction({
  'create-token': intent({
    demand: 'manage:GatewayToken',
    schema: z.strictObject({ name: z.string() }),
    run: async (ctx, input) => ({ token: (await createGatewayToken(ctx, input)).token, name: input.name.trim() }),
  }),
  'revoke-token': intent({
    demand: 'manage:GatewayToken',
    schema: z.strictObject({ id: z.string() }),
    run: async (ctx, input) => {
      await revokeGatewayToken(ctx, input)
      return { message: 'Token revoked. Its next call is refused.' }
    },
  }),
})

export default function Tokens() {
  return <TokensPage view={useLoaderData<TokensView>()} answer={useActionData<TokenAnswer>()} />
}
