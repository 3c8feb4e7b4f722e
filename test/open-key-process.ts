import { openProviderKey } from '#app/domain/vault/open-provider-key.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'

/** Opens the key that the variable KEY names, with the phrase of the settings, and prints it. For tests of the phrase. */
await openVault()
process.send?.({ ready: true })
const { apiKey } = await openProviderKey(JSON.parse(process.env.KEY ?? ''))
process.stdout.write(`${apiKey}\n`)
await closeDatabase()
process.disconnect?.()
