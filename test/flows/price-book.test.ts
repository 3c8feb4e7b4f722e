import { expect, test } from 'vitest'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { useDatabase } from '#test/database.ts'

useDatabase()

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
