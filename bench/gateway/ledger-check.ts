import { setTimeout as delay } from 'node:timers/promises'
import { exactCostPico } from './shapes.ts'
import type { World } from './world.ts'

/**
 * The proof at the end: every call that was answered stands in the ledger once and at its exact cost, the rollups say the
 * same, and no attempt is left open. Streams whose readers were hung up on are drained first; they end as `client_closed`.
 */
export async function checkLedger(world: World): Promise<void> {
  const open = 'SELECT count(*)::int AS open FROM metering.attempts'
  const deadline = performance.now() + 20_000
  while ((await world.owner.query(open)).rows[0].open > 0 && performance.now() < deadline) await delay(200)
  const { rows } = await world.owner.query(
    `SELECT count(*)::int AS calls, count(DISTINCT id)::int AS distinct_calls,
       count(*) FILTER (WHERE status = 'ok' AND raw_cost_pico = $1)::int AS exact,
       count(*) FILTER (WHERE status = 'client_closed')::int AS hung_up,
       (SELECT sum(calls)::int FROM metering.call_daily_rollups) AS rolled_up,
       (SELECT sum(raw_cost_pico)::text FROM metering.call_daily_rollups) = sum(raw_cost_pico)::text AS same_cost,
       (${open.replace(' AS open', '')}) AS open
     FROM metering.inference_calls`,
    [exactCostPico],
  )
  console.log('\nledger:', rows[0])
}
