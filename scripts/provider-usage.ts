/**
 * Reads a provider's own account of its days, for the nightly comparison with the ledger:
 *   npm run provider:usage -- FILE.csv [--provider openrouter] [--account platform|KEY_ID]
 * Columns as in OpenRouter's activity: date, model, usage, byok_usage_inference, requests, prompt_tokens, completion_tokens.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { importProviderReport } from '#app/domain/ledger/import-provider-report.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { commandLineOperator } from './operator.ts'
import { openSettings } from './settings.ts'

async function main(): Promise<void> {
  const options = {
    provider: { type: 'string', default: 'openrouter' },
    account: { type: 'string', default: 'platform' },
  } as const
  const { positionals, values } = parseArgs({ options, allowPositionals: true })
  const [file] = positionals
  if (!file)
    throw new AppError(
      'bad_request',
      'usage',
      'Usage: npm run provider:usage -- FILE.csv [--provider ID] [--account platform|KEY_ID]',
    )
  const csv = readFileSync(file, 'utf8')
  const done = await openSettings()
  try {
    await openVault()
    const { rows, days } = await importProviderReport(commandLineOperator(), { ...values, csv })
    console.log(`${rows} rows of ${days} days stored; the ledger is compared with them tonight`)
  } finally {
    await closeDatabase()
    await done()
  }
}

main().catch((error: unknown) => {
  const known = error instanceof AppError || (error as NodeJS.ErrnoException).code === 'ENOENT'
  console.error(known ? (error as Error).message : error)
  process.exitCode = 1
})
