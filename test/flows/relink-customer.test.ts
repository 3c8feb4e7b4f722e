/** A workspace whose Stripe customer was deleted or merged goes on with another, and what was billed stays where it was billed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { compareWorkspace } from '#app/domain/billing/compare-stripe.server.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { withRunLock } from '#app/domain/billing/internal/advisory-lock.server.ts'
import { resolveInvoiceRun } from '#app/domain/billing/release-invoice-run.server.ts'
import { relinkCustomer } from '#app/domain/billing/relink-customer.server.ts'
import { startTopUp } from '#app/domain/billing/start-checkout.server.ts'
import { verifyInvoice } from '#app/domain/billing/verify-invoice.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'
import { keysOf, settle, webhookEndpoint, workspaceOf } from './billing-endpoint.ts'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  clock,
  freezeOctober,
  makeCustomer,
  NOVEMBER,
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  stripeInvoices,
  write,
} from './billing-world.ts'
import { another, billed, operator, relink, slugOf } from './relink-ground.ts'

const world = billingWorld()
webhookEndpoint(world)
const differencesOf = ({ workspaceId }: Customer) =>
  inSystem((tx) => tx.reconciliationDifference.findMany({ where: { workspaceId, resolvedAt: null } }))

describe('merged: the customer of before is still there', () => {
  test('what was billed stays with it and is compared with it; plan and keys follow the new one; it is in the audit trail', async () => {
    const { customer, runId } = await billed(world)
    const next = await another(world)
    expect(await relink(customer, next)).toMatchObject({
      ...{ from: { id: customer.customerId, state: 'there' }, subscriptions: [{ status: 'active' }] },
      outcome: 'plan_enterprise',
    })
    expect(await workspaceOf(customer)).toMatchObject({ stripeCustomerId: next, planId: 'enterprise' })
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
    expect(await runRow(customer, runId)).toMatchObject({ stripeCustomerId: customer.customerId })
    expect(await compareWorkspace(customer.workspaceId, CLOSE_TIME)).toEqual({ runs: 1, differences: 0, unknown: 0 })
    expect(await differencesOf(customer)).toEqual([])
    const owner = await makeMember(customer.workspaceId, 'owner')
    expect(await verifyInvoice(owner, runId)).toMatchObject({ stripe: 'equal' })
    const audit = await inSystem((tx) =>
      tx.auditEvent.findFirstOrThrow({
        where: { workspaceId: customer.workspaceId, action: 'workspace.customer_linked' },
      }),
    )
    expect(audit).toMatchObject({
      actorKind: 'operator',
      detail: { customer: next, before: customer.customerId, runsKept: 1 },
    })
    await settle(world)
  })
  test('a run of which nothing was sent yet is billed to the new one, one that was begun is finished where it was begun', async () => {
    const fresh = await makeCustomer(world)
    await recordUsage(fresh.workspaceId, OCTOBER_USAGE)
    const freshRun = await freezeOctober(fresh)
    const next = await another(world)
    await relink(fresh, next)
    expect(await write(fresh, freshRun)).toBe('done')
    expect(stripeInvoices(world, fresh)).toEqual([])
    expect(stripeInvoices(world, { ...fresh, customerId: next })).toMatchObject([{ runId: freshRun }])

    const begun = await makeCustomer(world)
    await recordUsage(begun.workspaceId, OCTOBER_USAGE)
    const begunRun = await freezeOctober(begun)
    const away = { operation: 'invoices.finalizeInvoice', times: 20, when: 'before', effect: 'socket_close' } as const
    world.sandbox.faults.add(away)
    await expect(write(begun, begunRun)).rejects.toThrow()
    world.sandbox.faults.clear()
    await relink(begun, await another(world))
    expect(await write(begun, begunRun)).toBe('done')
    await settle(world)
    expect(await runRow(begun, begunRun)).toMatchObject({ state: 'done', stripeCustomerId: begun.customerId })
    expect(stripeInvoices(world, begun)).toHaveLength(1)
    expect((await compareWorkspace(begun.workspaceId, CLOSE_TIME)).differences).toBe(0)
  })
})

describe('deleted in Stripe', () => {
  test('the workspace goes on, its past stays, and what could not be collected is billed to the new customer', async () => {
    const { customer, runId } = await billed(world)
    await recordUsage(customer.workspaceId, [{ at: '2026-10-20T00:00:00.000Z', tierPrice: '5', raw: '1' }])
    const december = new Date('2026-12-03T02:00:00Z')
    const late = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: NOVEMBER, now: december })
    await world.stripe.customers.del(customer.customerId)
    await settle(world)
    expect(await runRow(customer, late?.runId ?? '')).toMatchObject({ state: 'uncollectable' })
    const next = await another(world, 'pro')
    expect(await relink(customer, next)).toMatchObject({ from: { state: 'deleted' }, outcome: 'plan_pro' })
    expect(await workspaceOf(customer)).toMatchObject({ suspendedAt: null, stripeCustomerId: next, planId: 'pro' })
    const told = { kind: 'customer_deleted', reference: customer.customerId, resolvedAt: null }
    expect(await inSystem((tx) => tx.alert.count({ where: told }))).toBe(0)
    expect(await runRow(customer, runId)).toMatchObject({ stripeCustomerId: customer.customerId })
    const resumed = { workspaceId: customer.workspaceId, runId: late?.runId ?? '', resolution: 'resume' } as const
    await resolveInvoiceRun(operator, resumed)
    await settle(world)
    expect(await runRow(customer, resumed.runId)).toMatchObject({ state: 'done', stripeCustomerId: null })
    expect(stripeInvoices(world, { ...customer, customerId: next })).toMatchObject([{ runId: resumed.runId }])
    expect((await compareWorkspace(customer.workspaceId, CLOSE_TIME)).differences).toBe(0)
  })
})

test('a workspace that is linked while its first page of Stripe’s is made keeps the customer that an operator chose', async () => {
  const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
  const owner = await makeMember(workspaceId, 'owner', clock)
  const chosen = await another(world, 'pro')
  const link = () =>
    inSystem((tx) => tx.workspace.update({ where: { id: workspaceId }, data: { stripeCustomerId: chosen } }))
  const late = { operation: 'customers.create', when: 'after', effect: 'slow' } as const
  world.sandbox.faults.add({ ...late, until: link })
  await startTopUp(owner, { amountCents: 2_500 })
  world.sandbox.faults.clear()
  const { stripeCustomerId } = await inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }))
  expect(stripeCustomerId).toBe(chosen)
  expect(await world.stripe.checkout.sessions.list({ customer: chosen })).toMatchObject({ data: [{ status: 'open' }] })
  await settle(world)
})

describe('refused, and nothing changed', () => {
  test('a customer of another workspace, or who was; one that Stripe has not, has deleted, or bills in another currency', async () => {
    const { customer } = await billed(world)
    const other = await makeCustomer(world)
    const moved = await billed(world)
    await relink(moved.customer, await another(world))
    const deleted = await another(world)
    await world.stripe.customers.del(deleted)
    const euro = await another(world)
    world.sandbox.world.state.customers[euro]!.currency = 'eur'
    const cases = {
      [other.customerId]: 'customer_taken',
      [moved.customer.customerId]: 'customer_taken',
      cus_nobody: 'customer_unknown',
      [deleted]: 'customer_deleted',
      [euro]: 'currency_mismatch',
      [customer.customerId]: 'customer_same',
      'cus_ ; DROP': 'invalid_customer',
    }
    for (const [customerId, code] of Object.entries(cases))
      await expect(relink(customer, customerId), customerId).rejects.toMatchObject({ code })
    await expect(relinkCustomer(operator, { workspace: 'nobody', customerId: 'cus_1' })).rejects.toMatchObject({
      kind: 'not_found',
    })
    const ended = await makeWorkspace({})
    await inSystem((tx) => tx.workspace.update({ where: { id: ended.id }, data: { endedAt: CLOSE_TIME } }))
    await expect(
      relinkCustomer(operator, { workspace: ended.slug, customerId: await another(world) }),
    ).rejects.toMatchObject({ code: 'workspace_ended' })
    expect(await workspaceOf(customer)).toMatchObject({ stripeCustomerId: customer.customerId })
    await settle(world)
  })

  test('while an invoice is being written: the writer has read whom it bills', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const runId = await freezeOctober(customer)
    const next = await another(world)
    await withRunLock(runId, async () => {
      await expect(relink(customer, next)).rejects.toMatchObject({ code: 'run_busy' })
    })
    expect(await workspaceOf(customer)).toMatchObject({ stripeCustomerId: customer.customerId })
    expect(await relink(customer, next)).toMatchObject({ outcome: 'plan_enterprise' })
    await settle(world)
  })

  test('where a month was closed, and its writing begun, after linking had looked for what is being written', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const next = await another(world)
    const metadata = { workspace_id: customer.workspaceId, purpose: 'plan', plan_id: 'enterprise' }
    const page = { line_items: [{ price: world.prices.enterprise, quantity: 1 }], metadata }
    const success_url = 'https://keymargin.example/paid'
    await world.stripe.checkout.sessions.create({
      ...{ customer: customer.customerId, mode: 'subscription', success_url, ...page },
    })
    // Linking closes that page; meanwhile the month is closed, and the writer waits for its invoice.
    let written: Promise<string> | undefined
    const begin = async () => write(customer, await freezeOctober(customer))
    const [writing, refused] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const slow = { when: 'before', effect: 'slow' } as const
    const add = world.sandbox.faults.add.bind(world.sandbox.faults)
    add({ operation: 'checkout.sessions.list', ...slow, delayMs: 0, onHit: () => (written = begin()) })
    add({ operation: 'checkout.sessions.expire', ...slow, until: () => writing.promise })
    add({ operation: 'invoices.create', ...slow, onHit: writing.resolve, until: () => refused.promise })
    const linking = relink(customer, next).finally(refused.resolve)
    await expect(linking).rejects.toMatchObject({ code: 'run_busy' })
    expect(await written).toBe('done')
    world.sandbox.faults.clear()
    expect(await relink(customer, next)).toMatchObject({ outcome: 'plan_enterprise' })
    expect((await compareWorkspace(customer.workspaceId, CLOSE_TIME)).differences).toBe(0)
    await settle(world)
  })
})

describe('npm run stripe:customer', () => {
  const script = path.resolve(import.meta.dirname, '../../scripts/stripe-customer.ts')
  async function run(...args: string[]): Promise<{ code: number | null; text: string }> {
    const child = spawn(process.execPath, [script, ...args], { env: world.db.childEnv({ NODE_OPTIONS: '' }) })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, text }
  }

  test('says what it would do, does it with --yes, and ends with 1 where it is refused', async () => {
    const customer = await makeCustomer(world)
    const next = await another(world, 'pro')
    const args = ['--workspace', await slugOf(customer), '--customer', next]
    const said = `Until now: ${customer.customerId}, still there. From now on: ${next}.`
    const asked = await run(...args)
    expect(asked).toMatchObject({ code: 0, text: expect.stringContaining(said) })
    expect(asked.text).toContain('Nothing was changed.')
    expect(await workspaceOf(customer)).toMatchObject({ stripeCustomerId: customer.customerId })
    expect(await run(...args, '--yes')).toMatchObject({
      code: 0,
      text: expect.stringContaining('is linked: plan pro.'),
    })
    expect(await workspaceOf(customer)).toMatchObject({ stripeCustomerId: next, planId: 'pro' })
    expect(await run(...args, '--yes')).toMatchObject({ code: 1, text: expect.stringContaining('already') })
    expect(await run('--workspace', 'x')).toMatchObject({ code: 1 })
    await settle(world)
  })
})
