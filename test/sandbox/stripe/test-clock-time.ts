import type { World } from './world.ts'

/** The frozen time (seconds) of the customer that a request is about, or null for the account's own time. */
export function clockOf(world: World, params: unknown, id: string): number | null {
  const given = params as { customer?: string; invoice?: string; subscription?: string; from_subscription?: string }
  const customer =
    customerOf(world, id) ?? given.customer ?? customerOf(world, given.invoice ?? given.from_subscription ?? '')
  const clock = world.state.customers[customer ?? '']?.testClock
  return (clock && world.state.testClocks[clock]?.frozenTime) || null
}

function customerOf(world: World, id: string): string | undefined {
  const { customers, subscriptions, invoices, invoiceItems, schedules, checkoutSessions, creditNotes } = world.state
  if (customers[id]) return id
  for (const table of [subscriptions, invoices, invoiceItems, schedules, checkoutSessions, creditNotes]) {
    if (table[id]) return table[id].customer
  }
  return undefined
}
