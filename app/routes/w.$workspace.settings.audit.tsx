import type { MetaFunction } from '@remix-run/node'
import { useLoaderData } from '@remix-run/react'
import { listAuditEvents } from '#app/domain/audit/queries.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { AuditPage } from '#app/ui/audit/audit-page.tsx'
import { type AuditView, toAuditView } from '#app/ui/audit/audit-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Audit trail · Keymargin' }]

function parseBefore(request: Request): bigint | undefined {
  const text = new URL(request.url).searchParams.get('before')
  if (text === null) return undefined
  if (!/^\d{1,18}$/.test(text))
    throw new AppError('bad_request', 'invalid_filter', 'before: this is no entry number.', { field: 'before' })
  return BigInt(text)
}

export const loader = workspaceLoader('read:AuditEvent', async ({ ctx, workspace }, { request }) => {
  const before = parseBefore(request)
  return toAuditView(`/w/${workspace.slug}`, await listAuditEvents(ctx, before), before === undefined)
})

export default function Audit() {
  return <AuditPage view={useLoaderData<AuditView>()} />
}
