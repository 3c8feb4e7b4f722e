import type { MetaFunction } from '@remix-run/node'
import { useLoaderData } from '@remix-run/react'
import { getStatement } from '#app/domain/billing/statement.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { StatementPage } from '#app/ui/billing/statement-page.tsx'
import { type StatementView, toStatementView } from '#app/ui/billing/statement-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Statement · Keymargin' }]

export const loader = workspaceLoader('read:Invoice', async ({ ctx, workspace }, { params }) =>
  toStatementView(`/w/${workspace.slug}`, await getStatement(ctx, params.runId ?? '')),
)

export default function StatementOfMonth() {
  return <StatementPage view={useLoaderData<StatementView>()} />
}
