/**
 * Runs the Prisma CLI for the commands that need no schema engine (`generate`, `validate`, `format`).
 * The CLI fetches that engine before it looks at the command, so on a machine that reaches only a package
 * registry it would fail: it is handed an existing file instead. Never do that for `migrate` or `db`: with a
 * fake engine `migrate deploy` exits 0 and creates nothing. Migrations go through scripts/migrate.ts.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'

const cli = path.resolve(import.meta.dirname, '../node_modules/prisma/build/index.js')
const command = process.argv[2] ?? ''
if (/^(migrate|db)$/.test(command)) {
  console.error('Use `npm run db:migrate`: it applies prisma/migrations in Prisma’s own bookkeeping.')
  process.exit(1)
}
// A production install has no CLI: its client was generated at build time.
if (!existsSync(cli)) process.exit(0)
const run = spawnSync(process.execPath, [cli, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, CHECKPOINT_DISABLE: '1', PRISMA_SCHEMA_ENGINE_BINARY: process.execPath },
})
process.exit(run.status ?? 1)
