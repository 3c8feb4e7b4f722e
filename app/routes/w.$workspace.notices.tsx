import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { dismissNotice } from '#app/domain/notifications/dismiss-notice.server.ts'
import { listNotices } from '#app/domain/notifications/queries.server.ts'
import { allows } from '#app/domain/permissions/permissions.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import type { Answer } from '#app/ui/answer-notice.tsx'
import { NoticesPage, type NoticesView } from '#app/ui/notices/notices-page.tsx'
import { toNoticesView } from '#app/ui/notices/notices-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Notices · Keymargin' }]

export const loader = workspaceLoader('read:Workspace', async ({ ctx, workspace }) => {
  const canDismiss = allows(ctx.ability, 'manage:Billing', { workspaceId: ctx.workspaceId })
  return toNoticesView(`/w/${workspace.slug}`, await listNotices(ctx), canDismiss)
})

export const action = workspaceAction({
  'dismiss-notice': intent({
    demand: 'manage:Billing',
    schema: z.strictObject({ id: z.string().max(100) }),
    run: async (ctx, input) => {
      await dismissNotice(ctx, input)
      return { message: 'Dismissed, for everybody in the workspace.' }
    },
  }),
})

export default function Notices() {
  return <NoticesPage view={useLoaderData<NoticesView>()} answer={useActionData<Answer<{ message: string }>>()} />
}
