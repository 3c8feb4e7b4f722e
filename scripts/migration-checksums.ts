/**
 * `npm run db:seal` lists new migrations in prisma/migrations/checksums.txt. What is listed is released: an installation that has applied it
 * refuses to start over an edited one, so the list only ever grows (`cd prisma/migrations && sha256sum -c checksums.txt` reads it too).
 */
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

export const migrationsFolder = path.resolve(import.meta.dirname, '../prisma/migrations')
const listOf = (folder: string) => path.join(folder, 'checksums.txt')

export interface SealState {
  changed: string[]
  vanished: string[]
  /** Not listed yet, with the line that lists it. */
  added: { name: string; line: string }[]
}

/** Compares the migrations of a folder with its list of SHA-256 checksums. */
export function readSeals(folder: string): SealState {
  const list = existsSync(listOf(folder)) ? readFileSync(listOf(folder), 'utf8') : ''
  const listed = new Map(
    list.split('\n').flatMap((line) => {
      const [, checksum, name] = /^([0-9a-f]{64}) {2}([^/]+)\/migration\.sql$/.exec(line) ?? []
      return name && checksum ? [[name, checksum] as const] : []
    }),
  )
  const found = new Map(
    readdirSync(folder)
      .filter((name) => existsSync(path.join(folder, name, 'migration.sql')))
      .sort()
      .map((name) => [name, checksumOf(path.join(folder, name, 'migration.sql'))] as const),
  )
  const names = [...listed.keys()]
  return {
    changed: names.filter((name) => found.has(name) && found.get(name) !== listed.get(name)),
    vanished: names.filter((name) => !found.has(name)),
    added: [...found].flatMap(([name, checksum]) =>
      listed.has(name) ? [] : [{ name, line: `${checksum}  ${name}/migration.sql` }],
    ),
  }
}

const checksumOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

/** What is wrong, in words that name each folder and say what to do; empty where all is listed as it is. */
export const sealFaults = ({ changed, vanished, added }: SealState): string[] => [
  ...changed.map((name) => `${name} was edited after its release: take the edit back and write a new migration.`),
  ...vanished.map((name) => `${name} was released and is gone: bring it back.`),
  ...added.map(({ name }) => `${name} is not listed: npm run db:seal`),
]

/** Lists what is new. @returns the names. @throws Error where one that is listed was edited or removed: nothing is written then */
export function sealMigrations(folder: string): string[] {
  const state = readSeals(folder)
  const broken = sealFaults({ ...state, added: [] })
  if (broken.length > 0) throw new Error(broken.join('\n'))
  if (state.added.length > 0) appendFileSync(listOf(folder), state.added.map(({ line }) => `${line}\n`).join(''))
  return state.added.map(({ name }) => name)
}

if (import.meta.main)
  try {
    const names = sealMigrations(migrationsFolder)
    console.log(names.length > 0 ? `Listed: ${names.join(', ')}` : 'Nothing is new.')
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
  }
