/**
 * `npm run workspace:end -- --workspace SLUG --yes`: ends a workspace for good. What is not billed yet is invoiced at once; its
 * people, keys and tokens go, its ledger and invoices stay.
 */
import { parseArgs } from 'node:util'
import { endWorkspace } from '#app/domain/billing/end-workspace.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { runCommand, UsageError } from './command.ts'
import { commandLineOperator } from './operator.ts'

const USAGE = 'Usage: npm run workspace:end -- --workspace SLUG --yes   (this cannot be taken back)'

function readSlug(): string {
  const { values } = parseArgs({ options: { workspace: { type: 'string' }, yes: { type: 'boolean' } } })
  if (!values.workspace || !values.yes) throw new UsageError()
  return values.workspace
}

await runCommand(USAGE, readSlug, async (slug) => {
  const found = await inSystem((tx) => tx.workspace.findUnique({ where: { slug }, select: { id: true } }))
  if (!found) throw new AppError('not_found', 'not_found', `There is no workspace ${slug}.`)
  const { runs, peopleForgotten } = await endWorkspace(commandLineOperator(), { workspaceId: found.id })
  console.log(`${slug} is ended. Months billed: ${runs.map(({ month }) => month).join(', ') || 'none'}.`)
  console.log(`${peopleForgotten} people without another workspace were forgotten.`)
})
