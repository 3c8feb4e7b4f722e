/**
 * Reads a usage CSV into a workspace's ledger:
 *   npm run usage:import -- FILE.csv --workspace acme --tier balanced --model openai/gpt-5-mini
 *     [--surface agent_run] [--key-source platform|workspace] [--source NAME]
 */
import path from 'node:path'
import { parseArgs } from 'node:util'
import { importUsage } from '#app/domain/ledger/import-usage.server.ts'
import { toPlanRules } from '#app/domain/plans/queries.server.ts'
import { isTier, tiers } from '#app/domain/pricing/pricing.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { runCommand, UsageError } from './command.ts'

const USAGE = `Usage: npm run usage:import -- FILE.csv --workspace SLUG --tier ${tiers.join('|')} --model ID [--surface ID] [--key-source platform|workspace] [--source NAME]`

const options = {
  workspace: { type: 'string' },
  tier: { type: 'string' },
  model: { type: 'string' },
  surface: { type: 'string', default: 'agent_run' },
  'key-source': { type: 'string', default: 'platform' },
  source: { type: 'string' },
} as const

function readArguments() {
  const { positionals, values } = parseArgs({ options, allowPositionals: true })
  const [file] = positionals
  const keySource = values['key-source']
  if (!file || !values.workspace || !values.model || !values.tier || !isTier(values.tier)) throw new UsageError()
  if (keySource !== 'platform' && keySource !== 'workspace') throw new UsageError()
  return {
    file,
    workspace: values.workspace,
    defaults: { tier: values.tier, model: values.model, surface: values.surface },
    keySource,
    source: values.source ?? path.basename(file),
  } as const
}

await runCommand(USAGE, readArguments, async ({ workspace: slug, ...input }) => {
  const workspace = await inSystem((tx) => tx.workspace.findUnique({ where: { slug }, include: { plan: true } }))
  if (!workspace) throw new AppError('not_found', 'not_found', `There is no workspace ${slug}.`)
  const started = performance.now()
  const result = await importUsage({
    ...input,
    workspaceId: workspace.id,
    currency: workspace.currency,
    plan: toPlanRules(workspace.plan),
    onProgress: ({ rows, added }) => process.stderr.write(`\r${rows} rows read, ${added} added`),
  })
  process.stderr.write('\n')
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(
    `${input.source}: ${result.rows} rows, ${result.added} added, ${result.alreadyThere} were there already (${result.months.join(', ')}; ${seconds} s)`,
  )
})
