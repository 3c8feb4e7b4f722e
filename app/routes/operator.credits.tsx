import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { grantPromotionalCredits } from '#app/domain/credits/grant-promotional-credits.server.ts'
import { listCreditsOverview } from '#app/domain/credits/operator-queries.server.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'
import { type OperatorCreditsAnswer, OperatorCreditsPage } from '#app/ui/operator/credits-page.tsx'
import { type OperatorCreditsView, toOperatorCreditsView } from '#app/ui/operator/credits-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Credits of all workspaces · Keymargin' }]

export const loader = operatorLoader(async (ctx, { request }) => {
  const params = new URL(request.url).searchParams
  const [find, workspace] = [(params.get('find') ?? '').slice(0, 100), (params.get('workspace') ?? '').slice(0, 100)]
  if (find.includes('\0'))
    throw new AppError('bad_request', 'invalid_filter', 'find: no workspace is called that.', { field: 'find' })
  return toOperatorCreditsView(await listCreditsOverview(ctx, find), { formId: newId(), find, workspace })
})

export const action = operatorAction({
  'grant-credits': intent({
    demand: 'operate:Platform',
    schema: z.strictObject({
      workspace: z.string(),
      usd: z.string(),
      days: z.string(),
      note: z.string(),
      formId: z.string(),
    }),
    run: async (ctx, input) => {
      const { granted } = await grantPromotionalCredits(ctx, input)
      return {
        message: granted
          ? 'Credits granted. Under a plan that draws on credits they can be spent from the next call on.'
          : 'They were granted already.',
      }
    },
  }),
})

export default function OperatorCredits() {
  return (
    <OperatorCreditsPage view={useLoaderData<OperatorCreditsView>()} answer={useActionData<OperatorCreditsAnswer>()} />
  )
}
