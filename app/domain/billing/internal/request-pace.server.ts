/**
 * How fast Stripe is asked: one queue per operation for all processes, in the database. Ten requests a second by default
 * (Stripe's own limit is 25 per operation, shared with the vendor's other systems), half of it after a 429, recovering by
 * half a request a second (stripe §2.9). Nothing is saved up while idle, so there is no burst.
 */
import { systemPool } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'

/** Takes the next place in the operation's queue. @returns milliseconds to wait before asking */
export async function takeTurn(operation: string): Promise<number> {
  const { rows } = await systemPool().query<{ wait: number }>({
    name: 'stripe-turn',
    text: 'SELECT take_stripe_turn($1, $2) AS wait',
    values: [operation, env().stripeRequestsPerSecond],
  })
  return rows[0]?.wait ?? 0
}

/** Stripe said 429: everybody asks at half the pace from now on. */
export async function slowDown(operation: string): Promise<void> {
  await systemPool().query('SELECT slow_stripe_down($1)', [operation])
}
