import { renderPrice, renderProduct } from './catalogue.ts'
import { renderCustomer } from './customers.ts'
import { renderInvoice } from './invoice-object.ts'
import { renderPaymentMethod } from './payment-methods.ts'
import { renderSubscription } from './subscription-object.ts'
import type { World } from './world.ts'

/** Replaces ids by objects along each `expand[]` path, e.g. `data.items.data.price.product`. Paths that lead nowhere change nothing. */
export function expandPaths(world: World, body: object, paths: string[]): object {
  if (!paths.length) return body
  const copy = structuredClone(body)
  for (const path of paths) walk(world, copy as Node, path.split('.'))
  return copy
}

type Node = { [key: string]: unknown }

function walk(world: World, node: Node, [key, ...rest]: string[]): void {
  if (key === undefined) return
  const value = node[key]
  if (typeof value === 'string') node[key] = objectOf(world, value) ?? value
  const next = node[key]
  for (const child of Array.isArray(next) ? next : [next]) {
    if (typeof child === 'object' && child !== null) walk(world, child as Node, rest)
  }
}

function objectOf(world: World, id: string): object | undefined {
  const { customers, products, prices, paymentMethods, subscriptions, invoices } = world.state
  if (customers[id]) return structuredClone(renderCustomer(customers[id]))
  if (products[id]) return renderProduct(products[id])
  if (prices[id]) return renderPrice(prices[id])
  if (paymentMethods[id]) return renderPaymentMethod(paymentMethods[id])
  if (subscriptions[id]) return renderSubscription(world, subscriptions[id])
  return invoices[id] && renderInvoice(world, invoices[id])
}
