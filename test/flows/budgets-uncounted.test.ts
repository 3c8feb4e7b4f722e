/** A full budget refuses the calls that it counts, and no others. */
import { afterEach, expect, test } from 'vitest'
import { createBudget } from '#app/domain/budgets/set-budget.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { newId } from '#app/platform/ids.ts'
import { openWith } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

const db = useDatabase()

afterEach(async () => {
  await db.owner.query('DELETE FROM metering.attempts; DELETE FROM metering.budget_reservations')
})

/** A workspace whose only budget has come to this, of a dollar. */
async function withBudget(spentPico: bigint, over: { countsOwnKey?: boolean; limit?: string } = {}) {
  const { id } = await makeWorkspace({})
  const owner: Ctx = await makeMember(id, 'owner')
  const terms = { name: 'Day', scope: 'workspace', scopeId: '', period: 'day', hard: true } as const
  const budgetId = await createBudget(owner, { ...terms, limit: '1', countsOwnKey: false, ...over })
  await db.owner.query('UPDATE metering.budget_spend SET spent_pico = $2 WHERE workspace_id = $1', [id, spentPico])
  const { rows } = await db.owner.query('SELECT key_epoch::text AS epoch FROM workspaces WHERE id = $1', [id])
  const keyEpoch = BigInt(rows[0].epoch)
  const call = (
    chargeMode: 'tier' | 'markup' | 'pass_through' | 'flat_fee',
    mostChargePico = 0n,
    mostCostPico = 0n,
  ) => {
    const own = { keySource: 'workspace', keyId: newId(), keyVersion: 1 } as const
    const markupBp = chargeMode === 'markup' ? 500 : null
    return openWith({
      workspaceId: id,
      keyEpoch,
      chargeMode,
      markupBp,
      mostChargePico,
      mostCostPico,
      ...(chargeMode === 'tier' ? {} : own),
    })
  }
  return { call, refusal: `budget:${budgetId}` }
}

const USD = 1_000_000_000_000n

test('calls that cost nothing here go on where a budget that does not count them stands above its limit', async () => {
  const { call, refusal } = await withBudget(USD + 1n)
  expect(await call('pass_through', 0n, USD)).toBe('opened')
  expect(await call('flat_fee')).toBe('opened')
  expect(await call('tier', 1n)).toBe(refusal)
})

test('a budget that counts what own keys cost refuses them', async () => {
  const { call, refusal } = await withBudget(USD + 1n, { countsOwnKey: true })
  expect(await call('pass_through', 0n, 1n)).toBe(refusal)
})

test('a call whose cost nobody can tell beforehand is refused where the budget has come to its limit', async () => {
  const full = await withBudget(USD)
  expect(await full.call('markup')).toBe(full.refusal)
  const room = await withBudget(USD - 1n)
  expect(await room.call('markup')).toBe('opened')
  const nothing = await withBudget(0n, { limit: '0' })
  expect(await nothing.call('markup')).toBe(nothing.refusal)
})
