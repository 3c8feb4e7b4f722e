/** A subscription that is paused: its keys are switched off, come back with it, and are destroyed when it goes on for too long. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { listProviderKeys } from '#app/domain/vault/queries.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { setProviderKey } from '#app/domain/vault/set-provider-key.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import { customerWithKey, keysOf, settle, webhookEndpoint, workspaceOf } from './billing-endpoint.ts'
import { billingWorld } from './billing-world.ts'

const world = billingWorld()
webhookEndpoint(world)
let provider: OpenRouterSandbox
beforeAll(async () => {
  provider = await startOpenRouterSandbox()
  world.db.configure({ PROVIDER_BASE_URL_OPENROUTER: provider.baseUrl })
})
afterAll(() => provider.close())

test('paused disables the key, resuming enables it, thirty days of pause destroy it', async () => {
  const { customer } = await customerWithKey(world)
  world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'paused' })
  await settle(world)
  expect(await keysOf(customer)).toEqual([{ enabled: false }])
  world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'active' })
  await settle(world)
  expect(await keysOf(customer)).toEqual([{ enabled: true }])
  const longAgo = world.sandbox.world.seconds() - 31 * 86_400
  world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'paused', pausedAt: longAgo })
  await settle(world)
  expect(await keysOf(customer)).toEqual([])
  expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'paused' })
})

test('a paused plan disables the key also beside a subscription to a product that nobody mapped', async () => {
  const { customer } = await customerWithKey(world)
  const product = await world.stripe.products.create({ name: 'Unmapped' })
  const recurring = { interval: 'month' as const }
  const price = await world.stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 1, recurring })
  await world.stripe.subscriptions.create({ customer: customer.customerId, items: [{ price: price.id }] })
  world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'paused' })
  await settle(world)
  expect(await keysOf(customer)).toEqual([{ enabled: false }])
  expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'paused' })
  const told = { kind: 'stripe_unknown_product', reference: product.id, resolvedAt: null }
  expect(await inSystem((tx) => tx.alert.count({ where: told }))).toBe(1)
  world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'active' })
  await settle(world)
  expect(await keysOf(customer)).toEqual([{ enabled: true }])
})

test('a key that its holder switched off stays off when a pause ends', async () => {
  const { customer, admin } = await customerWithKey(world)
  const [key] = await listProviderKeys(admin)
  await setProviderKey(admin, { keyId: key?.id ?? '', enabled: false })
  for (const status of ['paused', 'active'] as const) {
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status })
    await settle(world)
    expect(await keysOf(customer)).toEqual([{ enabled: false }])
  }
  await setProviderKey(admin, { keyId: key?.id ?? '', enabled: true })
  expect(await keysOf(customer)).toEqual([{ enabled: true }])
})

test('a key is not saved while the subscription is paused', async () => {
  const { customer, admin } = await customerWithKey(world)
  world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'paused' })
  await settle(world)
  const save = saveProviderKey(admin, { provider: 'openrouter', credential: `sk-or-v1-${'7'.repeat(64)}` })
  await expect(save).rejects.toMatchObject({ code: 'subscription_paused' })
  expect(await keysOf(customer)).toEqual([{ enabled: false }])
})
