import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sdkClient, seedCustomer } from './sdk-client.ts'
import { startStripeSandbox } from './stripe-sandbox.ts'

let folder: string
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'stripe-sandbox-'))))
afterEach(() => rmSync(folder, { recursive: true }))

test('a restart keeps invoices, numbers, idempotency keys and the clock', async () => {
  const stateFile = path.join(folder, 'deep', 'stripe.json')
  const before = await startStripeSandbox({ stateFile, contract: 'strict' })
  let stripe = sdkClient(before)
  before.control.advanceClock(3_600_000)
  const customer = await seedCustomer(stripe)
  const invoice = await stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })
  await stripe.invoiceItems.create({ customer, invoice: invoice.id, amount: 700, currency: 'usd' })
  await stripe.invoices.finalizeInvoice(invoice.id)
  await before.close()

  const after = await startStripeSandbox({ stateFile, contract: 'strict' })
  stripe = sdkClient(after)
  const kept = await stripe.invoices.retrieve(invoice.id)
  expect(kept).toMatchObject({ status: 'open', total: 700 })
  expect(kept.hosted_invoice_url).toContain(`:${after.port}/`)
  expect((await stripe.invoices.create({ customer, currency: 'usd' }, { idempotencyKey: 'k1' })).id).toBe(invoice.id)
  const next = await stripe.invoices.create({ customer, currency: 'usd' })
  expect(next.created).toBeGreaterThan(Date.now() / 1000 + 3_500)
  expect((await stripe.invoices.finalizeInvoice(next.id)).number).toMatch(/-0002$/)
  await after.close()
})
