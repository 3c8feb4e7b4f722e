/**
 * `npm run demo:downgrade -- acme [pro]`: changes the demo workspace's subscription at the sandbox Stripe, as a customer would
 * in Stripe's portal. Everything after that is the product: signed webhook, job, plan change and key purge in one transaction.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import Stripe from 'stripe'
import { localState } from './demo/state.ts'

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}

const [slug = 'acme', planId = 'pro'] = process.argv.slice(2)
const state = localState('demo')
if (!state.has('settings.json')) fail('There is no demo yet. Start it with: npm run demo')
const settings = JSON.parse(readFileSync(path.join(state.dir, 'settings.json'), 'utf8')) as Record<string, string>
const api = new URL(settings.STRIPE_API_BASE as string)
const stripe = new Stripe(settings.STRIPE_SECRET_KEY as string, {
  host: api.hostname,
  port: Number(api.port),
  protocol: 'http',
  telemetry: false,
})

const customers = await stripe.customers
  .list({ limit: 100 })
  .catch(() => fail('The demo is not running. Start it with: npm run demo'))
const customer = customers.data.find((one) => one.email?.endsWith(`@${slug}.example`))
const prices = await stripe.prices.list({ product: `prod_sbx_${planId}`, limit: 1 })
if (!customer || !prices.data[0]) fail(`There is no demo workspace ${slug}, or no plan ${planId}.`)
const subscriptions = await stripe.subscriptions.list({ customer: customer.id, limit: 1 })
const subscription = subscriptions.data[0]
const item = subscription?.items.data[0]
if (!subscription || !item) fail(`${slug} has no subscription.`)
await stripe.subscriptions.update(subscription.id, { items: [{ id: item.id, price: prices.data[0].id }] })
console.log(`Stripe now has ${slug} on ${planId}. Its webhook is on the way; look at Settings → Billing.`)
