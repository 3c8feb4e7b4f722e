import { expect, test } from 'vitest'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()

const NOW = new Date('2026-10-05T12:00:00Z')
const publish = (version: number, secondsAhead: number) => {
  const effectiveFrom = new Date(NOW.getTime() + secondsAhead * 1000).toISOString()
  const tiers = { balanced: { inputUsd: '0.000001', outputUsd: '0.000002' } }
  return loadCatalogueFile({ priceBooks: [{ version, effectiveFrom, tiers }] }, NOW)
}

test('a price takes effect only when every process can know of it, and never in the past (case 58)', async () => {
  await expect(publish(2, -1)).rejects.toThrow(RangeError)
  await expect(publish(2, 20)).rejects.toThrow(RangeError)
  expect(await publish(2, 60)).toMatchObject({ priceBooks: 1 })
})

test('a plan that changes is read afresh by every process, for its own workspaces only', async () => {
  const plan = {
    ...{ id: 'changing', preset: 'pass-through', name: 'Changing', rank: 7, allowedProviders: ['openrouter'] },
    ...{ providerPrecedence: [], platformChargeMode: 'tier', workspaceChargeMode: 'pass_through' },
  } as const
  const load = (over: object) => loadCatalogueFile({ plans: [{ ...plan, ...over }] }, NOW)
  await load({})
  const [on, other] = [await makeWorkspace({ planId: plan.id }), await makeWorkspace({ planId: 'pro' })]
  const epochs = async () => {
    const { rows } = await db.owner.query('SELECT id, key_epoch::int AS epoch FROM workspaces WHERE id = ANY($1)', [
      [on.id, other.id],
    ])
    return [on, other].map(({ id }) => rows.find((row) => row.id === id)?.epoch)
  }
  await load({})
  expect(await epochs()).toEqual([0, 0])
  await load({ platformChargeMode: 'none' })
  expect(await epochs()).toEqual([1, 0])
  await load({ platformChargeMode: 'none', allowedProviders: [] })
  expect(await epochs()).toEqual([2, 0])
})
