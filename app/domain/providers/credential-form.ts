import { sealedMembers } from './parse-credential.ts'
import type { ProviderId } from './provider.ts'
import { providerOf } from './registry.ts'

/** One input of the form that takes a credential. */
export interface CredentialField {
  /** The input's name; a refusal of `saveProviderKey` names it as `key` or as `credential.<name>`. */
  name: string
  label: string
  description: string | null
  /** Shown as dots, and emptied after every answer. */
  secret: boolean
  required: boolean
}

/** Inputs that a form may send for some kind of credential. */
export const credentialInputs = [
  'key',
  'managementKey',
  'accessKeyId',
  'secretAccessKey',
  'region',
  'sessionToken',
  'endpoint',
  'apiKey',
  'deploymentName',
  'apiVersion',
] as const
type CredentialInput = (typeof credentialInputs)[number]

type Given = Partial<Record<CredentialInput, string>>
type Words = Pick<CredentialField, 'label' | 'description' | 'secret'>

const words: Partial<Record<CredentialInput, Words>> = {
  accessKeyId: {
    label: 'Access key id',
    description: 'Starts with AKIA, or with ASIA for a temporary one.',
    secret: true,
  },
  secretAccessKey: { label: 'Secret access key', description: '40 characters, shown once by AWS.', secret: true },
  region: { label: 'Region', description: 'Such as us-east-1.', secret: false },
  sessionToken: { label: 'Session token (optional)', description: 'Temporary keys only.', secret: true },
  endpoint: { label: 'Endpoint', description: 'Such as https://my-resource.openai.azure.com', secret: false },
  apiKey: { label: 'API key', description: 'From “Keys and Endpoint” of the resource.', secret: true },
  deploymentName: { label: 'Deployment name', description: 'As it is called in Azure.', secret: false },
  apiVersion: { label: 'API version', description: 'Such as 2024-10-21.', secret: false },
}

const optional: Record<string, readonly string[]> = {
  aws: ['sessionToken'],
  azure: [],
  azure_responses: ['apiVersion'],
}

const managementField = (replacing: boolean): CredentialField => ({
  name: 'managementKey',
  label: 'Management key (optional)',
  description: `Used for nothing but to read what is left in the account. It cannot run models.${replacing ? ' With a new API key, one saved before is dropped unless you paste it again.' : ''}`,
  secret: true,
  required: false,
})

/** The inputs that a provider's credential is typed into, in their order. `replacing` a saved one, some may stay empty. */
export function credentialFields(id: ProviderId, replacing: boolean): CredentialField[] {
  const { name, credential, keyFormat } = providerOf(id)
  if (credential === 'key' || credential === 'key_and_management') {
    const withManagement = credential === 'key_and_management'
    const [prefix] = keyFormat.publicPrefixes.toSorted((a, b) => a.length - b.length)
    const begins = keyFormat.requiredPrefix
      ? `Starts with ${keyFormat.requiredPrefix}. `
      : prefix
        ? `Usually starts with “${prefix}”. `
        : ''
    const description = replacing
      ? `The new key is tried before the old one stops. It is stored sealed and never shown again.${withManagement ? ' Leave it empty to change the management key alone.' : ''}`
      : `${begins}It is tried at once, stored sealed and never shown again.`
    const label = `${replacing ? 'New ' : ''}${name} API key`
    const key = { name: 'key', label, description, secret: true, required: !(replacing && withManagement) }
    return withManagement ? [key, managementField(replacing)] : [key]
  }
  return sealedMembers[credential].map((member) => {
    const may = optional[credential]?.includes(member) ?? false
    const { label = member, ...rest } = words[member as CredentialInput] ?? { description: null, secret: true }
    return {
      name: member,
      label: may && !label.includes('optional') ? `${label} (optional)` : label,
      ...rest,
      required: !may,
    }
  })
}

/**
 * What the form gave, as `checkCredential` takes it. Inputs of another kind of credential are handed on and refused there,
 * never dropped in silence.
 */
export function credentialOfForm(id: ProviderId, { key, ...given }: Given): string | Record<string, string> {
  const others = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const { credential } = providerOf(id)
  if (credential !== 'key' && credential !== 'key_and_management')
    return key === undefined ? others : { ...others, key }
  if (others.managementKey !== undefined && others.managementKey.trim() === '') delete others.managementKey
  return Object.keys(others).length ? { apiKey: key ?? '', ...others } : (key ?? '')
}
