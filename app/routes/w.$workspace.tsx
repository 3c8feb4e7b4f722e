import type { MetaFunction } from '@remix-run/node'
import { Outlet, useLoaderData } from '@remix-run/react'
import { hasCredits } from '#app/domain/credits/queries.server.ts'
import { countOpenNotices } from '#app/domain/notifications/queries.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { listOwnWorkspaces } from '#app/http/session.server.ts'
import { Shell, type ShellView } from '#app/ui/shell/shell.tsx'
import { workspaceShell } from '#app/ui/shell/shell-view.ts'

export const loader = workspaceLoader('read:Workspace', async ({ person, ctx, workspace }) =>
  workspaceShell({
    person,
    role: ctx.role,
    ability: ctx.ability,
    workspace,
    choices: await listOwnWorkspaces(person.userId),
    openNotices: await countOpenNotices(ctx),
    hasCredits: await hasCredits(ctx),
  }),
)

export const meta: MetaFunction<typeof loader> = () => [{ title: 'Keymargin' }]

export default function Workspace() {
  return (
    <Shell view={useLoaderData<ShellView>()}>
      <Outlet />
    </Shell>
  )
}
