/** What the catalogue says of a Stripe product can be put right, and never takes a plan from those who pay for it. */
import { expect, test } from 'vitest'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { meaningOfProducts } from '#app/domain/plans/queries.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'

useDatabase()
const NOW = new Date('2026-10-20T03:00:00Z')
const meaning = async (productId: string) => {
  const found = (await inSystem((tx) => meaningOfProducts(tx, [productId]))).get(productId)
  return found && found !== 'add_on' ? found.id : found
}

test('a product that was listed as an add-on by mistake is mapped to its plan; a plan’s product is never made an add-on', async () => {
  const addOnProducts = [{ productId: 'prod_new_pro', name: 'Pro, yearly' }]
  const planProducts = [{ productId: 'prod_new_pro', planId: 'pro' }]
  await loadCatalogueFile({ addOnProducts }, NOW)
  expect(await meaning('prod_new_pro')).toBe('add_on')
  await expect(loadCatalogueFile({ addOnProducts, planProducts }, NOW)).rejects.toThrow('cannot be an add-on as well')
  expect(await meaning('prod_new_pro')).toBe('add_on')
  await loadCatalogueFile({ planProducts }, NOW)
  expect(await meaning('prod_new_pro')).toBe('pro')
  await expect(loadCatalogueFile({ addOnProducts }, NOW)).rejects.toThrow('cannot be an add-on as well')
  expect(await meaning('prod_new_pro')).toBe('pro')
})
