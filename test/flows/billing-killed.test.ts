import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { expect, test } from 'vitest'
import { writeRun } from '#workers/tasks/write-invoice-run.ts'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  clock,
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
  expect.poll(() => write(customer, runId), { timeout: 180_000 }).not.toBe('busy')

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
})

/** Kills the writer right after Stripe did its work, and counts what Stripe was asked afterwards. */
async function killedAfter(operation: string, nth: number) {
  const { customer, runId } = await frozenCustomer()
  const child = startWriter(customer, runId)
  world.sandbox.faults.add({
    operation,
    nth,
    when: 'after',
    effect: 'timeout',
    onHit: () => child.kill('SIGKILL'),
  })
  await once(child, 'exit')
  world.sandbox.faults.clear()
  const from = world.sandbox.journal.length
  await rewrite(customer, runId)
  await expectOneInvoice(world, customer, runId)
  const asked = world.sandbox.journal.slice(from).map((entry) => entry.operation)
  return (name: string) => asked.filter((one) => one === name).length
}

test('case 1: killed after invoices.create and before the commit, a rerun finds the run’s id in Stripe and adopts the invoice', async () => {
  const times = await killedAfter('invoices.create', 1)
  expect(times('invoices.list')).toBe(1)
  expect(times('invoices.create')).toBe(0)
})

test('case 2: killed after the second of three lines, a rerun pages the lines and adds only the missing one', async () => {
  const times = await killedAfter('invoiceItems.create', 2)
  expect(times('invoices.create')).toBe(0)
  expect(times('invoiceItems.create')).toBe(1)
})

test('case 3: killed after finalise and before recording, a rerun sees it and does not finalise again', async () => {
  const times = await killedAfter('invoices.finalizeInvoice', 1)
  expect(times('invoices.finalizeInvoice')).toBe(0)
})

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
})

test('case 5: a second worker that takes the job of a slow one finds the lock, leaves with retry later, and there is one invoice', async () => {
  const { customer, runId } = await frozenCustomer()
  const [reached, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const slow = { operation: 'invoices.create', when: 'before', effect: 'slow' } as const
  world.sandbox.faults.add({ ...slow, onHit: reached.resolve, until: () => left.promise })
  const resultOf = async (child: ChildProcess) => {
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await once(child, 'close')
    return output.trim()
  }
  const first = resultOf(startWriter(customer, runId))
  await reached.promise
  const job = async () =>
    (await world.db.owner.query('SELECT run_at FROM graphile_worker.jobs WHERE key = $1', [`write:${runId}`])).rows
  const second = await resultOf(startWriter(customer, runId))
    .then(async (result) => {
      await writeRun({ workspaceId: customer.workspaceId, runId }, { now: clock } as Parameters<typeof writeRun>[1])
      return result
    })
    .finally(left.resolve)
  expect(await job()).toEqual([{ run_at: new Date(CLOSE_TIME.getTime() + 30_000) }])
  expect([await first, second]).toEqual(['done', 'busy'])
  await expectOneInvoice(world, customer, runId)
})
