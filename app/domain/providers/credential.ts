import type { ProviderId } from './provider.ts'

/** A saved credential, opened. Lives as long as the call it is opened for; never logged, never sent anywhere but its provider. */
export interface Credential {
  provider: ProviderId
  /** The API key of all kinds but AWS's. */
  apiKey: string
  /** OpenRouter: reads the account's balance, cannot run models. */
  managementKey?: string
  aws?: { accessKeyId: string; secretAccessKey: string; region: string; sessionToken?: string }
  /** `origin` is `https://<resource>.openai.azure.com` or of another allowed suffix, checked at save and at use. */
  azure?: { origin: string; deploymentName: string | null; apiVersion: string }
  /** Every secret in it: what is taken out of texts and streams that come back. */
  secrets: string[]
}

export type CredentialFields = Partial<Record<string, string>>
