import { redirect } from '@remix-run/node'
import { workspaceLoader } from '#app/http/route.server.ts'

export const loader = workspaceLoader('read:Workspace', async ({ workspace }) =>
  redirect(`/w/${workspace.slug}/analytics`),
)
