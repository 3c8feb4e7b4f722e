/** The real SDK, pointed at a sandbox: for the sandbox's own tests and for seeding. The product has its own wrapper. */
import Stripe from 'stripe'
import type { StripeSandbox } from './stripe-sandbox.ts'

export function sdkClient(
  sandbox: Pick<StripeSandbox, 'host' | 'port' | 'apiKey'>,
  options: Stripe.StripeConfig = {},
): Stripe {
  return new Stripe(sandbox.apiKey, {
    host: sandbox.host,
    port: sandbox.port,
    protocol: 'http',
    maxNetworkRetries: 0,
    // Generous: on a busy machine the contract's schemas take a second or two to compile.
    timeout: 120_000,
    telemetry: false,
    ...options,
  })
}

/** The SDK at a real account in test mode, or at what stands for one. */
export function testModeClient({ key, base }: { key: string; base: string | undefined }): Stripe {
  const url = base === undefined ? undefined : new URL(base)
  const address = url && { host: url.hostname, port: url.port, protocol: 'http' as const }
  return new Stripe(key, { ...address, maxNetworkRetries: 2, telemetry: false })
}

/** A customer whose default card works, declines, or is missing. */
export async function seedCustomer(stripe: Stripe, card: 'works' | 'declines' | 'none' = 'works'): Promise<string> {
  const token = { works: 'pm_card_visa', declines: 'pm_card_chargeCustomerFail', none: undefined }[card]
  const settings = token && { payment_method: token, invoice_settings: { default_payment_method: token } }
  const customer = await stripe.customers.create({ name: 'Acme', email: 'billing@acme.example', ...settings })
  return customer.id
}

/** A product with one monthly price. */
export async function seedPrice(
  stripe: Stripe,
  name: string,
  unitAmount: number,
): Promise<{ product: string; price: string }> {
  const product = await stripe.products.create({ name })
  const price = await stripe.prices.create({
    product: product.id,
    currency: 'usd',
    unit_amount: unitAmount,
    recurring: { interval: 'month' },
  })
  return { product: product.id, price: price.id }
}
