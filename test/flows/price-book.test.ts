import { expect, test } from 'vitest'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { priceBookAt } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
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
  await expect(publish(9, -1)).rejects.toThrow(RangeError)
  await expect(publish(9, 20)).rejects.toThrow(RangeError)
  expect(await publish(9, 60)).toMatchObject({ priceBooks: 1 })
})

test('a catalogue file that names a day the calendar does not have is refused', async () => {
  const tiers = { balanced: { inputUsd: '0.000001', outputUsd: '0.000002' } }
  const load = (effectiveFrom: string) =>
    loadCatalogueFile({ priceBooks: [{ version: 12, effectiveFrom, tiers }] }, NOW)
  for (const time of ['2031-02-31T00:00:00Z', '2031-02-29T00:00:00Z', '2031-04-31T00:00:00Z'])
    await expect(load(time), time).rejects.toThrow('effectiveFrom')
})

test('a file is not passed over in silence where its version is published with other prices', async () => {
  await expect(publish(2, 3_600)).rejects.toThrow('published already')
  expect(await publish(9, 60)).toMatchObject({ priceBooks: 0 })
  await expect(publish(9, 61)).rejects.toThrow('published already')
})

test('what nothing priced before may be priced for the past: nothing was charged for it', async () => {
  const meters = { seats: { name: 'Seats', unit: 'seat', unitUsd: '1' } }
  const book = (version: number, effectiveFrom: string) => ({
    priceBooks: [{ version, effectiveFrom, tiers: {}, meters }],
  })
  expect(await loadCatalogueFile(book(10, '2026-01-01T00:00:00Z'), NOW)).toMatchObject({ priceBooks: 1 })
  await expect(loadCatalogueFile(book(11, '2026-02-01T00:00:00Z'), NOW)).rejects.toThrow(RangeError)
})

test('a price book replaces only what it names: the tiers and meters that it leaves out stay as they were', async () => {
  const { books } = await loadCatalogue()
  const at = new Date('2026-03-01T00:00:00Z')
  expect(priceBookAt(books, at, { tier: 'frontier' })?.version).toBe(1)
  expect(priceBookAt(books, at, { meter: 'sandbox_seconds' })?.version).toBe(2)
  expect(priceBookAt(books, at, { meter: 'seats' })?.version).toBe(10)
  expect(priceBookAt(books, at, { meter: 'nobody' })?.meters).not.toHaveProperty('nobody')
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
