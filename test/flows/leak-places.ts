/** The places where a secret could have been left behind, as text. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import type pg from 'pg'

const root = path.resolve(import.meta.dirname, '../..')

/** Every row of every table of every schema, as PostgreSQL prints it, and the statements that are running. */
export async function dumpDatabase(owner: pg.Client): Promise<string> {
  const { rows } = await owner.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1`,
  )
  const parts: string[] = []
  for (const { name } of rows) {
    const all = await owner.query<{ line: string }>(`SELECT t::text AS line FROM ${name} t`)
    parts.push(`-- ${name}`, ...all.rows.map((row) => row.line))
  }
  const activity = await owner.query<{ query: string }>('SELECT query FROM pg_stat_activity')
  return [...parts, '-- statements', ...activity.rows.map((row) => row.query)].join('\n')
}

/** The database's own files, where rows that were rolled back or deleted still lie. */
export async function databaseFiles(owner: pg.Client): Promise<string> {
  await owner.query('CHECKPOINT')
  const { rows } = await owner.query<{ dir: string; oid: string }>(
    "SELECT current_setting('data_directory') AS dir, oid::text FROM pg_database WHERE datname = current_database()",
  )
  const folder = path.join(rows[0]?.dir ?? '', 'base', rows[0]?.oid ?? '')
  return textOfFolder(folder)
}

function textOfFolder(folder: string): string {
  if (!existsSync(folder)) throw new Error(`${folder} is not there`)
  return globSync('**/*', { cwd: folder })
    .map((name) => path.join(folder, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => `${file}\n${readFileSync(file, 'latin1')}`)
    .join('\n')
}

/** What browsers load. */
export const clientBundle = (): string => textOfFolder(path.join(root, 'build/client'))
