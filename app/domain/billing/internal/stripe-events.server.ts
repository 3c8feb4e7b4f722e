/** Webhooks: signatures, what was not delivered, and the endpoints themselves. */
import Stripe from 'stripe'
import { env } from '#app/platform/env.server.ts'
import { API_VERSION, all, call, client } from './stripe-client.server.ts'

/** @returns the event, or null where no secret fits or the signature is older than 300 s. */
export function verifyEvent(rawBody: Buffer, signature: string, now: Date): Stripe.Event | null {
  for (const secret of env().stripeWebhookSecrets) {
    try {
      return Stripe.webhooks.constructEvent(rawBody, signature, secret, 300, undefined, now.getTime())
    } catch (error) {
      if (!(error instanceof Stripe.errors.StripeSignatureVerificationError)) return null
    }
  }
  return null
}

/**
 * Events that no endpoint of the account has taken yet, oldest first. Stripe keeps 30 days of them.
 * @param since Unix seconds
 * @throws StripeCallError
 */
export async function listUndelivered(since: number): Promise<Stripe.Event[]> {
  const newestFirst = await all('events.list', (page) =>
    client().events.list({ delivery_success: false, created: { gte: since }, ...page }),
  )
  return newestFirst.reverse()
}

/** @throws StripeCallError */
export function listEndpoints(): Promise<Stripe.WebhookEndpoint[]> {
  return all('webhookEndpoints.list', (page) => client().webhookEndpoints.list(page))
}

/** Stripe shows the secret in this answer and never again. @throws StripeCallError */
export async function createEndpoint(url: string, types: readonly string[]): Promise<{ id: string; secret: string }> {
  const { value } = await call('webhookEndpoints.create', 'webhook_endpoint', () =>
    client().webhookEndpoints.create({
      url,
      enabled_events: types as Stripe.WebhookEndpointCreateParams.EnabledEvent[],
      api_version: API_VERSION as Stripe.WebhookEndpointCreateParams.ApiVersion,
      description: 'Keymargin',
    }),
  )
  return { id: value.id, secret: value.secret ?? '' }
}

/** @throws StripeCallError */
export async function deleteEndpoint(id: string): Promise<void> {
  await call('webhookEndpoints.del', 'webhook_endpoint', () => client().webhookEndpoints.del(id))
}
