/** Usage events as they are sent to a gateway, and what is kept of them. */
import type { TestDatabase } from '#test/database.ts'
import { type Customer, type GatewayUnderTest, makeCustomer } from '#test/gateway.ts'

let serial = 0

export const onPlan = (planId: string): Promise<Customer> => makeCustomer({ key: null, planId })

export const event = (quantity: unknown, over: Record<string, unknown> = {}) => ({
  ...{ specversion: '1.0', id: `e-${++serial}`, source: '/sandboxes', type: 'sandbox_seconds', data: { quantity } },
  ...over,
})

export function usageGround(db: TestDatabase, gateway: GatewayUnderTest) {
  const post = (token: string, body: unknown, type = 'application/json') =>
    fetch(`${gateway.origin}/v1/usage/events`, {
      method: 'POST',
      headers: { 'content-type': type, authorization: `Bearer ${token}` },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const eventsOf = async (workspaceId: string) =>
    (
      await db.owner.query(
        `SELECT event_id, meter, quantity::text, amount_pico::text, credit_pico::text, charge_pico::text, charge_mode, surface,
         billing_month::text, price_book_version FROM metering.usage_events WHERE workspace_id = $1 ORDER BY recorded_at, id`,
        [workspaceId],
      )
    ).rows
  return { post, eventsOf }
}
