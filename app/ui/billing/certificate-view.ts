import { isProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import type { PurgeCertificate } from '#app/domain/vault/vault.ts'
import { utcDay } from '#app/ui/time.ts'
import { causeWords } from './billing-view.ts'
import type { CertificateView } from './certificate-page.tsx'

const capital = (plan: string | null): string => (plan ? plan[0]?.toUpperCase() + plan.slice(1) : 'none')

export function toCertificateView(
  workspace: { slug: string; name: string },
  certificate: PurgeCertificate,
): CertificateView {
  const { provider, purgedAt, fromPlan, toPlan } = certificate
  return {
    back: `/w/${workspace.slug}/settings/billing`,
    workspace: workspace.name,
    id: certificate.id,
    at: `${utcDay(purgedAt)}, ${purgedAt.slice(11, 19)} UTC`,
    provider: isProviderId(provider) ? providerOf(provider).name : provider,
    hint: certificate.hint || 'no hint: the key was too short for one',
    version: String(certificate.keyVersion),
    fingerprint: certificate.fingerprint,
    sealingKey: certificate.dataKeyId,
    cause: causeWords[certificate.cause] ?? certificate.cause,
    causeReference: certificate.causeReference,
    plans: fromPlan === toPlan ? capital(toPlan) : `${capital(fromPlan)} before, ${capital(toPlan)} after`,
    epoch: certificate.keyEpoch,
  }
}
