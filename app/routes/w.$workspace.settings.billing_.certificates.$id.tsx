import type { MetaFunction } from '@remix-run/node'
import { useLoaderData } from '@remix-run/react'
import { getPurgeCertificate } from '#app/domain/vault/queries.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { CertificatePage, type CertificateView } from '#app/ui/billing/certificate-page.tsx'
import { toCertificateView } from '#app/ui/billing/certificate-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Certificate of destruction · Keymargin' }]

export const loader = workspaceLoader('read:ProviderKey', async ({ ctx, workspace }, { params }) =>
  toCertificateView(workspace, await getPurgeCertificate(ctx, params.id ?? '')),
)

export default function Certificate() {
  return <CertificatePage view={useLoaderData<CertificateView>()} />
}
