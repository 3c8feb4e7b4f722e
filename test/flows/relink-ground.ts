/** Workspaces that go from one Stripe customer to another: what the tests of linking, and of what is left behind, begin with. */
import { expect } from 'vitest'
import { relinkCustomer } from '#app/domain/billing/relink-customer.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { seedCustomer } from '#test/sandbox/stripe/sdk-client.ts'
import { customerWithKey } from './billing-endpoint.ts'
import {
  type BillingWorld,
  type Customer,
  clock,
  freezeOctober,
  OCTOBER_USAGE,
  recordUsage,
  write,
} from './billing-world.ts'

export const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: clock,
  requestId: 'flow',
}

export const slugOf = async ({ workspaceId }: Customer) =>
  (await inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }))).slug
export const relink = async (customer: Customer, customerId: string) =>
  relinkCustomer(operator, { workspace: await slugOf(customer), customerId })

/** A customer that subscribes to a plan and is nobody's yet. */
export async function another(world: BillingWorld, plan: 'pro' | 'enterprise' = 'enterprise'): Promise<string> {
  const customer = await seedCustomer(world.stripe)
  await world.stripe.subscriptions.create({ customer, items: [{ price: world.prices[plan] }] })
  return customer
}

/** One whose October is billed. */
export async function billed(world: BillingWorld, { card = true } = {}) {
  const { customer } = await customerWithKey(world)
  if (!card) world.sandbox.world.state.customers[customer.customerId]!.defaultPaymentMethod = null
  await recordUsage(customer.workspaceId, OCTOBER_USAGE)
  const runId = await freezeOctober(customer)
  expect(await write(customer, runId)).toBe('done')
  return { customer, runId }
}
