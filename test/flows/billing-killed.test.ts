import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { expect, test } from 'vitest'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  OCTOBER_USAGE,
  recordUsage,
  write,
} from './billing-world.ts'

const world = billingWorld()
const CHILD = path.resolve(import.meta.dirname, 'billing-write-child.ts')

function startWriter(customer: Customer, runId: string): ChildProcess {
  return spawn(process.execPath, [CHILD, customer.workspaceId, runId, CLOSE_TIME.toISOString()], {
    env: world.db.childEnv({ NODE_OPTIONS: '' }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function frozenCustomer(): Promise<{ customer: Customer; runId: string }> {
  const customer = await makeCustomer(world)
  await recordUsage(customer.workspaceId, OCTOBER_USAGE)
  return { customer, runId: await freezeOctober(customer) }
}

/** The dead process's lock goes with its connection, as soon as the server notices. */
const rewrite = (customer: Customer, runId: string) =>
  expect.poll(() => write(customer, runId), { timeout: 10_000 }).not.toBe('busy')

test('killed at any step of the writer, before and after each Stripe call, a rerun ends with one invoice and equal sums', async () => {
  const clean = await frozenCustomer()
  const from = world.sandbox.journal.length
  expect(await write(clean.customer, clean.runId)).toBe('done')
  const steps = world.sandbox.journal.slice(from).map((entry) => entry.operation)
  expect(steps).toEqual([
    'customers.retrieve',
    'invoices.list',
    'invoices.create',
    'invoiceItems.create',
    'invoiceItems.create',
    'invoiceItems.create',
    'invoices.retrieve',
    'invoices.listLineItems',
    'invoices.finalizeInvoice',
  ])

  const survived: string[] = []
  for (const [index, operation] of steps.entries()) {
    for (const when of ['before', 'after'] as const) {
      const { customer, runId } = await frozenCustomer()
      const child = startWriter(customer, runId)
      world.sandbox.faults.add({
        operation: '*',
        nth: index + 1,
        when,
        effect: 'timeout',
        onHit: () => child.kill('SIGKILL'),
      })
      const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
      expect(signal, `${when} ${operation}`).toBe('SIGKILL')
      world.sandbox.faults.clear()
      await rewrite(customer, runId)
      await expectOneInvoice(world, customer, runId)
      survived.push(`${when} ${index + 1} ${operation}`)
    }
  }
  expect(survived).toHaveLength(steps.length * 2)
}, 180_000)

test('killed again and again at random steps it still ends with one invoice', async () => {
  for (const kills of [
    [2, 3, 5],
    [5, 4, 3, 2],
    [9, 9, 4],
  ]) {
    const { customer, runId } = await frozenCustomer()
    for (const nth of kills) {
      const child = startWriter(customer, runId)
      world.sandbox.faults.add({
        operation: '*',
        nth,
        when: 'after',
        effect: 'timeout',
        onHit: () => child.kill('SIGKILL'),
      })
      await once(child, 'exit')
      world.sandbox.faults.clear()
    }
    await rewrite(customer, runId)
    await expectOneInvoice(world, customer, runId)
  }
}, 120_000)

test('two worker processes that close at once end with one invoice; the second leaves it to the first (cases 4, 5)', async () => {
  const { customer, runId } = await frozenCustomer()
  world.sandbox.faults.add({ operation: 'invoices.create', when: 'before', effect: 'slow', delayMs: 1_500 })
  const children = [startWriter(customer, runId), startWriter(customer, runId)]
  const results = await Promise.all(
    children.map(async (child) => {
      let output = ''
      child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
      await once(child, 'exit')
      return output.trim()
    }),
  )
  expect(results.toSorted()).toEqual(['busy', 'done'])
  await expectOneInvoice(world, customer, runId)
})
