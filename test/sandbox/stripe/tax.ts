/** Automatic tax as far as the product meets it: where a customer must be known to be, and one rate that may change. */
import { invalid } from './errors.ts'
import { itemsOf } from './invoice-object.ts'
import type { CustomerRecord, InvoiceRecord } from './records.ts'
import type { World } from './world.ts'

/** Countries that need more than their name (stripe §2.9). */
export function taxLocationKnown(address: CustomerRecord['address']): boolean {
  const country = address?.country?.toUpperCase()
  if (!country) return false
  if (country === 'US') return /^\d{5}(-\d{4})?$/.test(address?.postal_code ?? '')
  if (country === 'CA') return Boolean(address?.state || address?.postal_code)
  return true
}

/** Items that tax cannot be computed on: negative ones, and those that do not say whether tax is in them (stripe §2.5). */
export function requireTaxable(amount: number, behavior: string | undefined): void {
  if (amount >= 0 && behavior && behavior !== 'unspecified') return
  throw invalid(
    'Automatic tax needs items that are not negative and have a `tax_behavior` of `exclusive` or `inclusive`.',
    'parameter_invalid',
    'tax_behavior',
  )
}

export function requireTaxableItems(world: World, invoice: InvoiceRecord): void {
  for (const item of itemsOf(world, invoice.id)) {
    if (!item.subscriptionItem) requireTaxable(item.amount, item.taxBehavior)
  }
}
