import { env } from '#app/platform/env.server.ts'
import { WATCHED_TYPES } from './internal/event-table.ts'
import { API_VERSION } from './internal/stripe-client.server.ts'
import { createEndpoint, deleteEndpoint, listEndpoints } from './internal/stripe-events.server.ts'

/** Where Stripe sends its events. */
export const webhookUrl = (): string => `${env().appOrigin}/webhooks/stripe`

export interface EndpointReport {
  id: string
  enabled: boolean
  createdAt: string
  /** What is wrong with it, each in words; empty: nothing. */
  problems: string[]
}

/** Every endpoint of the account that sends to this installation, newest first. @throws StripeCallError */
export async function checkWebhookEndpoints(): Promise<EndpointReport[]> {
  const ours = (await listEndpoints()).filter((endpoint) => endpoint.url === webhookUrl())
  return ours
    .sort((a, b) => b.created - a.created)
    .map((endpoint) => ({
      id: endpoint.id,
      enabled: endpoint.status === 'enabled',
      createdAt: new Date(endpoint.created * 1000).toISOString(),
      problems: problemsOf(endpoint.status, endpoint.api_version, endpoint.enabled_events),
    }))
}

function problemsOf(status: string, version: string | null, types: string[]): string[] {
  const all = types.includes('*')
  const missing = WATCHED_TYPES.filter((type) => !all && !types.includes(type))
  const extra = types.filter((type) => type !== '*' && !(WATCHED_TYPES as string[]).includes(type))
  return [
    ...(status === 'enabled' ? [] : [`is ${status}: Stripe sends nothing`]),
    ...(version === API_VERSION ? [] : [`sends API version ${version ?? 'of the account'} instead of ${API_VERSION}`]),
    ...(missing.length ? [`lacks ${missing.join(', ')}`] : []),
    ...(extra.length ? [`sends ${extra.join(', ')}, which are ignored`] : []),
  ]
}

export interface MadeEndpoint {
  id: string
  /** Shown once: it goes into STRIPE_WEBHOOK_SECRET, and nowhere else. */
  secret: string
}

/** An endpoint for this installation with the types and the API version that it reads. @throws Error where there is one already */
export async function createWebhookEndpoint(): Promise<MadeEndpoint> {
  const [known] = await checkWebhookEndpoints()
  if (known)
    throw new Error(`There is an endpoint for ${webhookUrl()} already (${known.id}). Use rotate, or delete it.`)
  return createEndpoint(webhookUrl(), WATCHED_TYPES)
}

/**
 * First half of a rotation: a second endpoint at the same address. Events come twice from now on, signed with either secret,
 * and each is stored once (stripe §4 cases 31, 36).
 * @throws Error where none is there, or a rotation is under way
 */
export async function beginRotation(): Promise<MadeEndpoint> {
  const known = await checkWebhookEndpoints()
  if (known.length === 0) throw new Error(`There is no endpoint for ${webhookUrl()} yet. Use create.`)
  if (known.length > 1) throw new Error('A rotation is under way already. Finish it first.')
  return createEndpoint(webhookUrl(), WATCHED_TYPES)
}

/** Second half: the older endpoints go. To be done when every process runs with the new secret. @returns ids of those deleted */
export async function finishRotation(): Promise<string[]> {
  const [, ...older] = await checkWebhookEndpoints()
  for (const { id } of older) await deleteEndpoint(id)
  return older.map(({ id }) => id)
}
