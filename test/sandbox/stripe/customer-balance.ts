import { z } from 'zod'
import { invalid, missing } from './errors.ts'
import type { BalanceTransactionRecord } from './more-records.ts'
import { operation } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { clearable, createdFilter, expand, integer, mergeMetadata, metadata, page, text } from './params.ts'
import type { CustomerRecord } from './records.ts'
import type { World } from './world.ts'

type Change = Pick<BalanceTransactionRecord, 'amount' | 'type'> &
  Partial<Pick<BalanceTransactionRecord, 'invoice' | 'creditNote' | 'description' | 'metadata'>>

/** Moves the customer's balance (positive: owed) and writes the transaction that says why. */
export function changeBalance(world: World, customer: CustomerRecord, change: Change): BalanceTransactionRecord {
  customer.balance += change.amount
  const record: BalanceTransactionRecord = {
    ...world.base('cbtxn'),
    metadata: {},
    invoice: null,
    creditNote: null,
    description: null,
    ...change,
    customer: customer.id,
    currency: customer.currency ?? 'usd',
    endingBalance: customer.balance,
  }
  world.state.balanceTransactions[record.id] = record
  return record
}

const renderTransaction = (record: BalanceTransactionRecord): object => ({
  id: record.id,
  object: 'customer_balance_transaction',
  amount: record.amount,
  checkout_session: null,
  created: record.created,
  credit_note: record.creditNote,
  currency: record.currency,
  customer: record.customer,
  customer_account: null,
  description: record.description,
  ending_balance: record.endingBalance,
  invoice: record.invoice,
  livemode: false,
  metadata: record.metadata,
  type: record.type,
})

function customerNamed(world: World, id: string): CustomerRecord {
  const customer = world.state.customers[id]
  if (!customer || customer.deleted) throw missing('customer', id)
  return customer
}

const createParams = z.strictObject({
  amount: integer,
  currency: text,
  description: clearable.optional(),
  metadata: metadata.optional(),
  expand: expand.optional(),
})
const listParams = z.strictObject({ ...page, ...createdFilter, invoice: text.optional() })

export const customerBalanceOperations = [
  operation(
    'customers.createBalanceTransaction',
    'POST /v1/customers/{id}/balance_transactions',
    createParams,
    (world, params, id) => {
      const customer = customerNamed(world, id)
      if (customer.currency && customer.currency !== params.currency.toLowerCase())
        throw invalid(`This customer uses ${customer.currency}.`, undefined, 'currency')
      const { amount, description = null } = params
      const marks = { description, metadata: mergeMetadata({}, params.metadata) }
      return renderTransaction(changeBalance(world, customer, { amount, type: 'adjustment', ...marks }))
    },
  ),
  operation(
    'customers.listBalanceTransactions',
    'GET /v1/customers/{id}/balance_transactions',
    listParams,
    (world, params, id) => {
      const all = newestFirst(world.state.balanceTransactions).filter(
        (record) =>
          record.customer === customerNamed(world, id).id &&
          (!params.invoice || record.invoice === params.invoice) &&
          createdWithin(record.created, params.created),
      )
      const list = pageOf(all, params, `/v1/customers/${id}/balance_transactions`)
      return { ...list, data: list.data.map(renderTransaction) }
    },
  ),
]
