import { expect, test } from 'vitest'
import { API_VERSION } from '#app/domain/billing/internal/stripe-client.server.ts'
import { loadStripeContract } from './stripe-contract.ts'

test('the contract is of the API version the SDK pins and knows every operation the product uses', () => {
  const contract = loadStripeContract()
  expect(contract.apiVersion).toMatch(/^\d{4}-\d{2}-\d{2}\.\w+$/)
  // An upgrade of the SDK that moves to another version must be decided, not happen.
  expect(contract.apiVersion).toBe(API_VERSION)
  expect(contract.operationCount).toBeGreaterThan(60)
  for (const [method, path] of [
    ['POST', '/v1/invoices'],
    ['POST', '/v1/invoiceitems'],
    ['GET', '/v1/invoices/in_1/lines'],
    ['POST', '/v1/invoices/in_1/finalize'],
    ['GET', '/v1/subscriptions'],
    ['GET', '/v1/events'],
  ] as const) {
    expect(contract.request(method, path, {}).filter((difference) => difference.startsWith('no operation'))).toEqual([])
  }
})

test('it tells right parameters from wrong ones, though a form holds only text', () => {
  const contract = loadStripeContract()
  const good = {
    customer: 'cus_1',
    auto_advance: 'false',
    metadata: { run_id: '1' },
    automatic_tax: { enabled: 'true' },
  }
  expect(contract.request('POST', '/v1/invoices', good)).toEqual([])
  expect(contract.request('POST', '/v1/invoices', { custmer: 'cus_1' })).toEqual([
    '/ must NOT have additional properties: custmer',
  ])
  expect(contract.request('POST', '/v1/invoices', { auto_advance: 'perhaps' })).toEqual([
    '/auto_advance must be boolean',
  ])
})

test('it refuses an object with a field missing, a field too many, and an error without `error`', () => {
  const contract = loadStripeContract()
  const deleted = { id: 'cus_1', object: 'customer', deleted: true }
  expect(contract.object(deleted)).toEqual([])
  expect(contract.object({ ...deleted, name: 'x' } as typeof deleted)).toHaveLength(1)
  expect(contract.object({ object: 'invoice' }).length).toBeGreaterThan(30)
  expect(contract.response('GET', '/v1/invoices/in_1', 404, { message: 'Not Found' })).toEqual([
    'an error answer without `error`',
  ])
})
