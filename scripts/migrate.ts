/** `npm run db:migrate`: brings the database up to date as its owner (DATABASE_OWNER_URL, else DATABASE_URL). */
import { explain } from './command.ts'
import { migrateDatabase } from './migrations.ts'

const url = process.env.DATABASE_OWNER_URL ?? process.env.DATABASE_URL
if (!url) {
  console.error('Set DATABASE_OWNER_URL (or DATABASE_URL) to the database owner’s connection.')
  process.exit(1)
}
try {
  const applied = await migrateDatabase(url, (name) => console.log(`Applying ${name} …`))
  console.log(applied.length ? 'Done.' : 'The database is up to date.')
} catch (error) {
  console.error(explain(error) ?? error)
  process.exitCode = 1
}
