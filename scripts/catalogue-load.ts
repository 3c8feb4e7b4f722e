/**
 * Loads plans, surfaces, models and price books from a file: `npm run catalogue:load -- prisma/seed/tier-margin.json`.
 * Running it again changes nothing; a new price book needs a date to come.
 */
import { readFileSync } from 'node:fs'
import { ZodError } from 'zod'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { openSettings } from './settings.ts'

function explain(error: unknown): unknown {
  if (error instanceof ZodError)
    return error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('\n')
  if (error instanceof RangeError || error instanceof SyntaxError) return error.message
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
    ? 'Name a catalogue file, such as prisma/seed/tier-margin.json.'
    : error
}

async function main(): Promise<void> {
  const contents = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'))
  const done = await openSettings()
  try {
    const counts = await loadCatalogueFile(contents, new Date())
    console.log(
      Object.entries(counts)
        .map(([name, count]) => `${count} ${name}`)
        .join(', '),
    )
  } finally {
    await closeDatabase()
    await done()
  }
}

main().catch((error: unknown) => {
  console.error(explain(error))
  process.exitCode = 1
})
