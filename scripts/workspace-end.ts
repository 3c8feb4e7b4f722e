/**
 * `npm run workspace:end -- --workspace SLUG --yes`: ends a workspace for good. What is not billed yet is invoiced at once; its
 * people, keys and tokens go, its ledger and invoices stay.
 */
import { parseArgs } from 'node:util'
import { endWorkspace } from '#app/domain/billing/end-workspace.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase, inSystem } from '#app/platform/db.server.ts'
import { commandLineOperator } from './operator.ts'
import { openSettings } from './settings.ts'

const { values } = parseArgs({ options: { workspace: { type: 'string' }, yes: { type: 'boolean' } } })
if (!values.workspace || !values.yes) {
  console.error('Usage: npm run workspace:end -- --workspace SLUG --yes   (this cannot be taken back)')
  process.exit(2)
}
const close = await openSettings()
try {
  await openVault()
  const { slug, id } = await inSystem((tx) =>
    tx.workspace.findUniqueOrThrow({ where: { slug: values.workspace }, select: { slug: true, id: true } }),
  )
  const { runs, peopleForgotten } = await endWorkspace(commandLineOperator(), { workspaceId: id })
  console.log(`${slug} is ended. Months billed: ${runs.map(({ month }) => month).join(', ') || 'none'}.`)
  console.log(`${peopleForgotten} people without another workspace were forgotten.`)
} finally {
  await closeDatabase()
  await close()
}
