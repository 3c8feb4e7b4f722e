/**
 * Loads plans, surfaces, models and price books from a file: `npm run catalogue:load -- prisma/seed/tier-margin.json`.
 * Running it again changes nothing; a new price book needs a date to come.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { runCommand, UsageError } from './command.ts'

function readFile(): unknown {
  const [file] = parseArgs({ allowPositionals: true }).positionals
  if (!file) throw new UsageError('Name a catalogue file, such as prisma/seed/tier-margin.json.')
  return JSON.parse(readFileSync(file, 'utf8'))
}

await runCommand('Usage: npm run catalogue:load -- FILE.json', readFile, async (contents) => {
  const counts = await loadCatalogueFile(contents, new Date())
  console.log(
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', '),
  )
})
