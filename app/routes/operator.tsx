import type { MetaFunction } from '@remix-run/node'
import { Outlet, useLoaderData } from '@remix-run/react'
import { operatorLoader } from '#app/http/route.server.ts'
import { listOwnWorkspaces, requireSignedIn } from '#app/http/session.server.ts'
import { Shell, type ShellView } from '#app/ui/shell/shell.tsx'
import { operatorShell } from '#app/ui/shell/shell-view.ts'

export const meta: MetaFunction = () => [{ title: 'Operator console · Keymargin' }]

export const loader = operatorLoader(async (ctx, { request }) =>
  operatorShell(await requireSignedIn(request), await listOwnWorkspaces(ctx.actor.id)),
)

export default function Operator() {
  return (
    <Shell view={useLoaderData<ShellView>()}>
      <Outlet />
    </Shell>
  )
}
