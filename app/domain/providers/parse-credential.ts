import { checkAzureEndpoint } from './azure-endpoint.ts'
import type { Credential, CredentialFields } from './credential.ts'
import type { ProviderId } from './provider.ts'
import { providerOf } from './registry.ts'

/** The members of a credential that is sealed as JSON, in the order in which they are written. */
export const sealedMembers = {
  key_and_management: ['apiKey', 'managementKey'],
  aws: ['accessKeyId', 'secretAccessKey', 'region', 'sessionToken'],
  azure: ['endpoint', 'apiKey', 'deploymentName', 'apiVersion'],
  azure_responses: ['endpoint', 'apiKey', 'apiVersion'],
} as const

/** A region becomes part of a host: nothing but a region may be in it (security §4c, item 54). */
export const awsRegion = /^[a-z]{2}(-gov)?-[a-z]+-\d$/

/** The API version of Azure's list of models where the credential names none that is dated. */
const listedApiVersion = '2024-10-21'

export const isDatedApiVersion = (text: string): boolean => /^\d{4}-\d{2}-\d{2}(-preview)?$/.test(text)

/** The credential made of its fields, which are known to be good. */
export function credentialOf(provider: ProviderId, fields: CredentialFields): Credential {
  const { apiKey = '', managementKey, accessKeyId = '', secretAccessKey = '', region = '', sessionToken } = fields
  const kind = providerOf(provider).credential
  if (kind === 'aws') {
    const aws = { accessKeyId, secretAccessKey, region, ...(sessionToken ? { sessionToken } : {}) }
    return { provider, apiKey: '', aws, secrets: sessionToken ? [secretAccessKey, sessionToken] : [secretAccessKey] }
  }
  const base: Credential = { provider, apiKey, secrets: [apiKey] }
  if (kind === 'azure' || kind === 'azure_responses') {
    const endpoint = checkAzureEndpoint(fields.endpoint ?? '')
    if (!endpoint.ok) throw new Error('the saved endpoint is none that a key may be sent to')
    const apiVersion = fields.apiVersion && isDatedApiVersion(fields.apiVersion) ? fields.apiVersion : listedApiVersion
    return { ...base, azure: { origin: endpoint.origin, deploymentName: fields.deploymentName ?? null, apiVersion } }
  }
  return managementKey ? { ...base, managementKey, secrets: [apiKey, managementKey] } : base
}

/**
 * Reads a credential as it was sealed: the plain key, or JSON for the kinds that have several fields. What decides where a
 * key goes is checked again: a row that somebody changed must not send it elsewhere.
 * @throws Error where the text is no credential of this provider
 */
export function parseCredential(provider: ProviderId, sealedText: string): Credential {
  const kind = providerOf(provider).credential
  const isJson = kind !== 'key' && (kind !== 'key_and_management' || sealedText.startsWith('{'))
  if (!isJson) return credentialOf(provider, { apiKey: sealedText })
  const fields = JSON.parse(sealedText) as CredentialFields
  if (kind === 'aws' && !awsRegion.test(fields.region ?? '')) throw new Error('the saved region is none')
  return credentialOf(provider, fields)
}

/** The text to seal: the plain key where there is nothing else, JSON with its members in a fixed order otherwise. */
export function sealedTextOf(provider: ProviderId, fields: CredentialFields): string {
  const kind = providerOf(provider).credential
  if (kind === 'key' || (kind === 'key_and_management' && !fields.managementKey)) return fields.apiKey ?? ''
  const members = sealedMembers[kind].filter((name) => fields[name] !== undefined && fields[name] !== '')
  return JSON.stringify(Object.fromEntries(members.map((name) => [name, fields[name]])))
}
