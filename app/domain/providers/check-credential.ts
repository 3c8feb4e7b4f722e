import { checkAzureEndpoint } from './azure-endpoint.ts'
import type { Credential, CredentialFields } from './credential.ts'
import { readCredentialJson } from './credential-json.ts'
import { checkKeyFormat, checkSecretText, type KeyFormatCode, maskKey } from './key-format.ts'
import { awsRegion, credentialOf, isDatedApiVersion, sealedMembers, sealedTextOf } from './parse-credential.ts'
import type { Provider, ProviderId } from './provider.ts'
import { providerOf } from './registry.ts'

export type CheckedCredential =
  | { ok: true; sealedText: string; credential: Credential; warning: string | null }
  | { ok: false; code: KeyFormatCode; field: string; message: string }

type Refusal = Extract<CheckedCredential, { ok: false }>

const refuse = (field: string, message: string, code: KeyFormatCode = 'invalid_key_format'): Refusal => ({
  ok: false,
  code,
  field: `credential.${field}`,
  message,
})

/** Longest session token that AWS has been seen to issue, with room. In characters. */
const longestToken = 8_192
const longestSecret = 512

function checkSecret(provider: Provider, name: string, fields: CredentialFields, maxLength = longestSecret) {
  const checked = checkSecretText(provider, fields[name] ?? '', maxLength)
  if (checked.ok) return checked.key
  const message = (fields[name] ?? '').trim() === '' ? `${name} is missing` : checked.message
  return refuse(name, message, checked.code)
}

/** Fields of Bedrock: what was swapped, cut or taken from the wrong page is told apart (security §4c, items 53-58). */
function checkAws(provider: Provider, fields: CredentialFields): CredentialFields | Refusal {
  const accessKeyId = checkSecret(provider, 'accessKeyId', fields)
  if (typeof accessKeyId !== 'string') return accessKeyId
  const secretAccessKey = checkSecret(provider, 'secretAccessKey', fields)
  if (typeof secretAccessKey !== 'string') return secretAccessKey
  if (/^A[A-Z]{3}[A-Z0-9]{12,}$/.test(secretAccessKey) && !/^A[A-Z]{3}[A-Z0-9]{12,}$/.test(accessKeyId))
    return refuse('accessKeyId', 'accessKeyId and secretAccessKey are swapped: the id is the one that starts with AKIA')
  if (!/^[A-Z0-9]{16,128}$/.test(accessKeyId))
    return refuse('accessKeyId', 'accessKeyId must be the access key id: 20 capital letters and digits, such as AKIA…')
  if (/^A(?:ROA|IDA|GPA|NPA|NVA|IPA)/.test(accessKeyId))
    return refuse('accessKeyId', 'accessKeyId names a role or a user. The access key id starts with AKIA or ASIA')
  if (!/^[A-Za-z0-9/+=]{30,128}$/.test(secretAccessKey))
    return refuse('secretAccessKey', 'secretAccessKey is not complete: it has 40 letters, digits, / and +')
  const region = (fields.region ?? '').replace(/^ +| +$/g, '')
  if (region === '') return refuse('region', 'region is missing, such as us-east-1')
  if (!awsRegion.test(region)) return refuse('region', 'region must be the name of an AWS region, such as us-east-1')
  if (!fields.sessionToken?.trim()) {
    if (accessKeyId.startsWith('ASIA'))
      return refuse('sessionToken', 'A temporary access key (ASIA…) needs its sessionToken too')
    return { accessKeyId, secretAccessKey, region }
  }
  const sessionToken = checkSecret(provider, 'sessionToken', fields, longestToken)
  return typeof sessionToken === 'string' ? { accessKeyId, secretAccessKey, region, sessionToken } : sessionToken
}

/**
 * Older versions answer 400 to a stream that asks for its usage, and to `max_completion_tokens` (providers §2.2): every
 * stream would fail, or be an estimate.
 */
const firstWithUsage = '2024-09-01-preview'

/** Fields of the two kinds of Azure (security §4c, items 64-92). */
function checkAzure(provider: Provider, fields: CredentialFields): CredentialFields | Refusal {
  const trimmed = (name: string) => (fields[name] ?? '').replace(/^ +| +$/g, '')
  if (trimmed('endpoint') === '')
    return refuse('endpoint', 'endpoint is missing, such as https://<resource>.openai.azure.com')
  const endpoint = checkAzureEndpoint(trimmed('endpoint'))
  if (!endpoint.ok) return refuse('endpoint', endpoint.message, 'endpoint_not_allowed')
  const apiKey = checkSecret(provider, 'apiKey', fields)
  if (typeof apiKey !== 'string') return apiKey
  if (apiKey.length < 20) return refuse('apiKey', 'apiKey is not complete: Azure keys have 32 or 84 characters')
  const apiVersion = trimmed('apiVersion')
  const common = { endpoint: endpoint.origin, apiKey }
  if (provider.credential === 'azure_responses') {
    if (apiVersion !== '' && !/^(?:v1|preview)$/.test(apiVersion) && !isDatedApiVersion(apiVersion))
      return refuse('apiVersion', 'apiVersion must look like 2024-10-21 or 2025-03-01-preview, or be left out')
    return apiVersion === '' ? common : { ...common, apiVersion }
  }
  const deploymentName = trimmed('deploymentName')
  if (deploymentName === '') return refuse('deploymentName', 'deploymentName is missing')
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(deploymentName) || /^\.+$/.test(deploymentName))
    return refuse('deploymentName', 'deploymentName may hold letters, digits, dots, dashes and underscores, 64 at most')
  if (apiVersion === '') return refuse('apiVersion', 'apiVersion is missing, such as 2024-10-21')
  if (!isDatedApiVersion(apiVersion))
    return refuse('apiVersion', 'apiVersion must look like 2024-10-21 or 2024-10-01-preview')
  if (apiVersion < firstWithUsage)
    return refuse(
      'apiVersion',
      `apiVersion must be ${firstWithUsage} or later, such as 2024-10-21: before it Azure tells no usage of streams`,
    )
  return { ...common, deploymentName, apiVersion }
}

function checkKeys(provider: Provider, fields: CredentialFields, field: string): CredentialFields | Refusal {
  const key = checkKeyFormat(provider.id, fields.apiKey ?? '')
  if (!key.ok) return { ...key, field }
  if (provider.credential === 'key' || !fields.managementKey?.trim()) return { apiKey: key.key }
  const management = checkKeyFormat(provider.id, fields.managementKey)
  if (!management.ok) return refuse('managementKey', management.message, management.code)
  if (management.key === key.key)
    return refuse('managementKey', 'This is the API key again. Leave the field empty, or paste a management key')
  return { apiKey: key.key, managementKey: management.key }
}

/** A version that stands in documents, and in no list of Azure's: it is taken, since only Azure can say (providers §2.1). */
const warningOf = (fields: CredentialFields): string | null =>
  fields.apiVersion === '2024-10-21-preview'
    ? 'Azure lists the API versions 2024-10-21 and 2024-10-01-preview, but no 2024-10-21-preview. If calls fail, change apiVersion to 2024-10-21.'
    : null

const namesOf = ({ credential }: Provider): readonly string[] =>
  credential === 'key' ? ['apiKey'] : sealedMembers[credential]

/** The fields of a form, each of them text, and no other than this kind has. */
function readForm(provider: Provider, form: Record<string, unknown>): CredentialFields | Refusal {
  const names = namesOf(provider)
  if (Object.keys(form).some((name) => !names.includes(name)))
    return { ...refuse('', `The fields are ${names.join(', ')}; others are not accepted`), field: 'credential' }
  for (const name of names)
    if (Object.hasOwn(form, name) && typeof form[name] !== 'string') return refuse(name, `${name} must be text`)
  return Object.fromEntries(names.filter((name) => Object.hasOwn(form, name)).map((name) => [name, String(form[name])]))
}

const isRefusal = (read: CredentialFields | Refusal): read is Refusal => 'ok' in read

/**
 * Checks a credential before anything is asked of its provider: the text of a key, pasted JSON, or the fields of a form.
 * Errors name the field (`key`, or `credential.region` and the like) and the remedy, and repeat nothing of what was given.
 */
export function checkCredential(id: ProviderId, input: string | Record<string, unknown>): CheckedCredential {
  const provider = providerOf(id)
  const plain = provider.credential === 'key' || provider.credential === 'key_and_management'
  const given =
    typeof input !== 'string'
      ? readForm(provider, input)
      : plain
        ? { apiKey: input }
        : readCredentialJson(provider, input, namesOf(provider))
  if (isRefusal(given)) return given
  const fields = plain
    ? checkKeys(provider, given, typeof input === 'string' ? 'key' : 'credential.apiKey')
    : provider.credential === 'aws'
      ? checkAws(provider, given)
      : checkAzure(provider, given)
  if (isRefusal(fields)) return fields
  const sealedText = sealedTextOf(id, fields)
  return { ok: true, sealedText, credential: credentialOf(id, fields), warning: warningOf(fields) }
}

/** What may be shown of a saved credential: a masked key, and the region or resource it belongs to. */
export function maskCredential(credential: Credential): string {
  const { provider, apiKey, aws, azure } = credential
  if (aws) return `${aws.accessKeyId.slice(0, 4)}…${aws.accessKeyId.slice(-4)} ${aws.region}`
  if (azure) return `${maskKey(provider, apiKey)} ${new URL(azure.origin).hostname.split('.')[0]}`.trim()
  return maskKey(provider, apiKey)
}
