import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import { syncEntitlement } from '#app/domain/billing/sync-entitlement.server.ts'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { listProviderKeys, listPurgeCertificates } from '#app/domain/vault/queries.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { makeMember, saveKeyDirectly } from '#test/factories.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import {
  customerWithKey,
  holdDeliveries,
  KEY,
  keysOf,
  letDeliveries,
  moveTo,
  settle,
  subscriptionItem,
  webhookEndpoint,
  workspaceOf,
} from './billing-endpoint.ts'
import { billingWorld, type Customer, makeCustomer } from './billing-world.ts'

const world = billingWorld()
webhookEndpoint(world)
let provider: OpenRouterSandbox
beforeAll(async () => {
  provider = await startOpenRouterSandbox()
  world.db.configure({ PROVIDER_BASE_URL_OPENROUTER: provider.baseUrl })
})
afterAll(() => provider.close())

const dataKeys = (customer: Customer) =>
  inSystem((tx) => tx.workspaceDataKey.count({ where: { workspaceId: customer.workspaceId } }))

describe('leaving Enterprise (stripe §2.7)', () => {
  test('a downgrade applied now changes the plan and destroys the key in one transaction, with a certificate', async () => {
    const { customer, admin } = await customerWithKey(world)
    const epoch = (await workspaceOf(customer)).keyEpoch
    await moveTo(world, customer, 'pro')
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro', subscriptionStatus: 'active' })
    expect(await keysOf(customer)).toEqual([])
    expect(await dataKeys(customer)).toBe(0)
    expect((await workspaceOf(customer)).keyEpoch).toBeGreaterThan(epoch)
    const [certificate] = await listPurgeCertificates(admin)
    expect(certificate).toMatchObject({ cause: 'plan_changed', fromPlan: 'enterprise', toPlan: 'pro' })
    expect(certificate?.causeReference).toMatch(/^evt_sbx_/)
    const audit = await inSystem((tx) =>
      tx.auditEvent.findMany({ where: { workspaceId: customer.workspaceId }, select: { action: true } }),
    )
    expect(audit.map((row) => row.action)).toEqual(
      expect.arrayContaining(['workspace.plan_changed', 'provider_key.purged']),
    )
  })

  // Setting a currency looks at the plan; a plan that came by a subscription looked at nothing, and only the customer's programs were told.
  test('a plan that reckons in dollars, in a workspace that is billed in euros, is told to operators until one of them is changed', async () => {
    const customer = await makeCustomer(world)
    const read = async (currency: string) => {
      const where = { id: customer.workspaceId }
      await inSystem((tx) => tx.workspace.update({ where, data: { currency } }))
      await syncEntitlement({ workspaceId: customer.workspaceId, cause: 'sweep' }, world.now())
      const alert = { kind: 'plan_needs_dollars', reference: customer.workspaceId, resolvedAt: null }
      return inSystem((tx) => tx.alert.findMany({ where: alert, select: { message: true } }))
    }
    expect(await read('usd')).toEqual([])
    expect(await read('eur')).toEqual([{ message: expect.stringContaining('billed in EUR') }])
    expect(await read('usd')).toEqual([])
  })

  test('the data key is destroyed also where the key itself was removed before', async () => {
    const { customer, admin } = await customerWithKey(world)
    const [key] = await listProviderKeys(admin)
    await removeProviderKey(admin, { keyId: key?.id ?? '' })
    expect(await dataKeys(customer)).toBe(1)
    await moveTo(world, customer, 'pro')
    await settle(world)
    expect(await dataKeys(customer)).toBe(0)
  })

  test('when the purge fails the plan does not change either', async () => {
    const { customer } = await customerWithKey(world)
    await world.db.owner.query(
      `CREATE FUNCTION fail_purge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$;
       CREATE TRIGGER fail_purge BEFORE DELETE ON workspace_data_keys FOR EACH ROW EXECUTE FUNCTION fail_purge()`,
    )
    holdDeliveries(world)
    await moveTo(world, customer, 'pro')
    await expect(sweepStripe(world.now())).resolves.toMatchObject({ failed: 1 })
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toHaveLength(1)
    await world.db.owner.query('DROP TRIGGER fail_purge ON workspace_data_keys; DROP FUNCTION fail_purge')
    letDeliveries(world)
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('cancel at period end, set and unset again, never touches the key; the end does', async () => {
    const { customer } = await customerWithKey(world)
    await world.stripe.subscriptions.update(customer.subscriptionId, { cancel_at_period_end: true })
    await settle(world)
    expect((await workspaceOf(customer)).subscriptionEndsAt).not.toBeNull()
    expect(await keysOf(customer)).toHaveLength(1)
    await world.stripe.subscriptions.update(customer.subscriptionId, { cancel_at_period_end: false })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionEndsAt: null })
    await world.stripe.subscriptions.cancel(customer.subscriptionId)
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus', subscriptionStatus: 'canceled' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('past due keeps the key and warns; unpaid destroys it; paying later brings the plan back, not the key', async () => {
    const { customer } = await customerWithKey(world)
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'past_due' })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'past_due' })
    expect(await keysOf(customer)).toHaveLength(1)
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'unpaid' })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus' })
    expect(await keysOf(customer)).toEqual([])
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'active' })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('an upgrade that awaits its payment is not Enterprise yet', async () => {
    const customer = await makeCustomer(world, { plan: 'pro' })
    world.sandbox.world.state.customers[customer.customerId]!.defaultPaymentMethod = null
    await world.stripe.subscriptions.update(customer.subscriptionId, {
      items: [{ id: await subscriptionItem(world, customer), price: world.prices.enterprise }],
      payment_behavior: 'pending_if_incomplete',
    })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
    const admin = await makeMember(customer.workspaceId, 'owner')
    await expect(saveProviderKey(admin, { provider: 'openrouter', credential: KEY })).rejects.toMatchObject({
      kind: 'forbidden',
    })
  })

  test('a deleted customer leaves at once; a second good subscription keeps the plan', async () => {
    const { customer } = await customerWithKey(world)
    await world.stripe.subscriptions.create({
      customer: customer.customerId,
      items: [{ price: world.prices.enterprise }],
    })
    await world.stripe.subscriptions.cancel(customer.subscriptionId)
    await settle(world)
    expect(await keysOf(customer)).toHaveLength(1)
    await world.stripe.customers.del(customer.customerId)
    await settle(world)
    expect(await keysOf(customer)).toEqual([])
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus' })
  })

  test('case 52: left and re-joined in one day: three segments, and no key after re-joining', async () => {
    const { customer } = await customerWithKey(world)
    await moveTo(world, customer, 'pro')
    await settle(world)
    await moveTo(world, customer, 'enterprise')
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    const segments = await inSystem((tx) =>
      tx.workspacePlanPeriod.findMany({ where: { workspaceId: customer.workspaceId }, orderBy: { since: 'asc' } }),
    )
    expect(segments.map(({ planId, until }) => [planId, until === null])).toEqual([
      ['enterprise', false],
      ['pro', false],
      ['enterprise', true],
    ])
    expect(await keysOf(customer)).toEqual([])
  })

  test('case 39: of a product nobody mapped: stored, alerted, the plan unchanged', async () => {
    const { customer } = await customerWithKey(world)
    const product = await world.stripe.products.create({ name: 'New' })
    const price = await world.stripe.prices.create({
      product: product.id,
      currency: 'usd',
      unit_amount: 1,
      recurring: { interval: 'month' },
    })
    await world.stripe.subscriptions.update(customer.subscriptionId, {
      items: [{ id: await subscriptionItem(world, customer), price: price.id }],
    })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toHaveLength(1)
    expect(
      await inSystem((tx) => tx.alert.count({ where: { kind: 'stripe_unknown_product', reference: product.id } })),
    ).toBe(1)
  })

  test('a product nobody mapped beside the plan’s own: the plan stays, and an operator is told until the catalogue says what it is', async () => {
    const { customer } = await customerWithKey(world)
    const product = await world.stripe.products.create({ name: 'Priority support' })
    const recurring = { interval: 'month' as const }
    const price = await world.stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 1, recurring })
    await world.stripe.subscriptions.create({ customer: customer.customerId, items: [{ price: price.id }] })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toHaveLength(1)
    const alert = () =>
      inSystem((tx) => tx.alert.findFirstOrThrow({ where: { kind: 'stripe_unknown_product', reference: product.id } }))
    expect(await alert()).toMatchObject({ workspaceId: customer.workspaceId, resolvedAt: null })
    expect((await alert()).message).toContain(product.id)
    const load = (file: object) => loadCatalogueFile(file, new Date())
    const addOn = { productId: product.id, name: 'Priority support' }
    await expect(
      load({ addOnProducts: [addOn], planProducts: [{ productId: product.id, planId: 'pro' }] }),
    ).rejects.toThrow('cannot be an add-on as well')
    await load({ addOnProducts: [addOn] })
    expect((await alert()).resolvedAt).not.toBeNull()
    await sweepStripe(new Date())
    expect((await alert()).resolvedAt).not.toBeNull()
    // The plan's subscription ends, the add-on's goes on: it keeps neither plan nor keys.
    await world.stripe.subscriptions.cancel(customer.subscriptionId)
    await settle(world)
    // Nor is it what the workspace subscribes to: another plan could not be bought then, and jobs would be let in.
    expect(await workspaceOf(customer)).toMatchObject({
      planId: 'plus',
      stripeSubscriptionId: customer.subscriptionId,
      subscriptionStatus: 'canceled',
    })
    expect(await keysOf(customer)).toEqual([])
  })

  test('case 53: a key saved in the moment of leaving is refused or destroyed, never left behind', async () => {
    // A race, so several times; where events are fetched every round takes half a minute.
    for (let round = 0; round < (world.hasSandbox ? 6 : 1); round++) {
      const { customer, admin } = await customerWithKey(world)
      holdDeliveries(world)
      await moveTo(world, customer, 'pro')
      const other = `sk-or-v1-${String(round).repeat(64)}`
      const save = saveProviderKey(admin, { provider: 'openrouter', credential: other }).then(
        () => 'saved',
        (error: { code?: string }) => error.code,
      )
      await Promise.all([save, sweepStripe(world.now())])
      expect(['saved', 'plan_required']).toContain(await save)
      expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
      expect(await keysOf(customer)).toEqual([])
      expect(await dataKeys(customer)).toBe(0)
      letDeliveries(world)
      await settle(world)
    }
  })
})

// Last: it changes a plan of the catalogue.
test('a plan that allows some of the keys destroys the others only', async () => {
  const { customer, admin } = await customerWithKey(world)
  await saveKeyDirectly(admin, 'gsk_sandbox_live_0123456789abcdef', 'groq')
  const allow = (plan: string, providers: string) =>
    world.db.owner.query('UPDATE plans SET allowed_providers = $2 WHERE id = $1', [plan, providers])
  await allow('pro', '{openrouter}')
  await moveTo(world, customer, 'pro')
  await settle(world)
  expect((await listProviderKeys(admin)).map((key) => key.provider)).toEqual(['openrouter'])
  expect(await listPurgeCertificates(admin)).toMatchObject([{ provider: 'groq', cause: 'plan_changed' }])
})
