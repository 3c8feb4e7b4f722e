/** What a call costs the database does not grow with the calls that are open beside it, or were a moment ago. */
import { expect, test } from 'vitest'
import type { CallRecord } from '#app/domain/ledger/ledger.ts'
import { openAttempts } from '#app/domain/ledger/open-attempts.server.ts'
import { ensurePartitions, recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import { makeCall } from '#test/call-factory.ts'
import { creditOpening } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const others = 20_000

/** Attempts that were looked at by now, in all sessions. */
async function looked(): Promise<number> {
  await systemPool().query('SELECT pg_stat_force_next_flush()')
  const { rows } = await db.owner.query(
    `SELECT (idx_tup_fetch + seq_tup_read)::float8 AS looked FROM pg_stat_user_tables WHERE schemaname = 'metering' AND relname = 'attempts'`,
  )
  return rows[0].looked
}

async function runOne(model: CallRecord): Promise<void> {
  const { workspaceId, tier, chargeMode, model: name } = model
  const id = newId()
  const dispatchedAt = idTime(id)
  const terms = {
    workspaceId,
    id,
    dispatchedAt,
    tier,
    chargeMode,
    model: name,
    mostChargePico: null,
    mostCostPico: null,
  }
  expect(await openAttempts([creditOpening(terms)])).toEqual(['opened'])
  await systemPool().query('SELECT metering.note_progress($1, $2, $3)', [[id], ['gen-1'], ['1']])
  expect(await recordCalls([{ ...model, id, dispatchedAt, origin: 'gateway' }])).toEqual([true])
}

test('a call is opened, noted and settled by its key, also with a plan that was made when no other call was open', async () => {
  const { id: workspaceId } = await makeWorkspace()
  await ensurePartitions([new Date()])
  const model = await makeCall(workspaceId, new Date(), { endpoint: 'chat' })
  await runOne(model)
  await db.owner.query(
    `INSERT INTO metering.attempts (call_id, workspace_id, process_id, dispatched_at, surface, provider, model, tier, key_source,
        charge_mode, price_book_version, streamed, prompt_tokens_estimate)
      SELECT gen_random_uuid(), $1, 'other', clock_timestamp(), 'agent_run', $2, $3, $4, $5, $6, $7, false, 1 FROM generate_series(1, ${others})`,
    [workspaceId, model.provider, model.model, model.tier, model.keySource, model.chargeMode, model.priceBookVersion],
  )
  const before = await looked()
  for (let call = 0; call < 5; call += 1) await runOne(model)
  await expect.poll(looked).toBeGreaterThan(before)
  expect((await looked()) - before).toBeLessThan(others / 100)
})
