import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { getCredits, listCreditMovements } from '#app/domain/credits/queries.server.ts'
import { setLowCredits } from '#app/domain/credits/set-low-credits.server.ts'
import { allows } from '#app/domain/permissions/permissions.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import { type CreditsAnswer, CreditsPage } from '#app/ui/credits/credits-page.tsx'
import { type CreditsView, toCreditsView } from '#app/ui/credits/credits-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Credits · Keymargin' }]

export const loader = workspaceLoader('read:Workspace', async ({ ctx, workspace }, { request }) => {
  const after = new URL(request.url).searchParams.get('after')
  const [standing, page] = await Promise.all([getCredits(ctx), listCreditMovements(ctx, after)])
  const canManage = allows(ctx.ability, 'manage:Billing', { workspaceId: ctx.workspaceId })
  return toCreditsView({ root: `/w/${workspace.slug}`, standing, page, after, canManage })
})

export const action = workspaceAction({
  'set-low-credits': intent({
    demand: 'manage:Billing',
    schema: z.strictObject({ lowCreditsUsd: z.string() }),
    run: async (ctx, { lowCreditsUsd }) => {
      await setLowCredits(ctx, { usd: lowCreditsUsd })
      return { message: 'Threshold saved.' }
    },
  }),
})

export default function Credits() {
  return <CreditsPage view={useLoaderData<CreditsView>()} answer={useActionData<CreditsAnswer>()} />
}
