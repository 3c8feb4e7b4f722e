/**
 * Reads a provider's own account of its days, for the nightly comparison with the ledger:
 *   npm run provider:usage -- FILE.csv [--provider openrouter] [--account platform|KEY_ID]
 * Columns as in OpenRouter's activity: date, model, usage, byok_usage_inference, requests, prompt_tokens, completion_tokens.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { importProviderReport } from '#app/domain/ledger/import-provider-report.server.ts'
import { runCommand, UsageError } from './command.ts'
import { commandLineOperator } from './operator.ts'

const USAGE = 'Usage: npm run provider:usage -- FILE.csv [--provider ID] [--account platform|KEY_ID]'

function readArguments() {
  const options = {
    provider: { type: 'string', default: 'openrouter' },
    account: { type: 'string', default: 'platform' },
  } as const
  const { positionals, values } = parseArgs({ options, allowPositionals: true })
  const [file] = positionals
  if (!file) throw new UsageError()
  return { ...values, csv: readFileSync(file, 'utf8') }
}

await runCommand(USAGE, readArguments, async (report) => {
  const { rows, days } = await importProviderReport(commandLineOperator(), report)
  console.log(`${rows} rows of ${days} days stored; the ledger is compared with them tonight`)
})
