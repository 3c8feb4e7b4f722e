/**
 * Prisma's own schema engine (its WebAssembly build) over `pg`: authors migrations and tells drift, with nothing to download.
 *   node scripts/prisma-engine.ts diff-empty   SQL that makes an empty database equal to schema.prisma
 *   node scripts/prisma-engine.ts diff         SQL from prisma/migrations to schema.prisma (empty: they agree)
 *   node scripts/prisma-engine.ts diagnose     what `prisma migrate` would say of DATABASE_OWNER_URL
 */
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { PrismaPg } from '@prisma/adapter-pg'
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils'
import * as glue from '@prisma/schema-engine-wasm/schema_engine_bg'
import pg from 'pg'

const root = path.resolve(import.meta.dirname, '..')

interface EngineGlue {
  __wbg_set_wasm(exports: WebAssembly.Exports): void
  SchemaEngine: {
    new: (options: unknown, log: (message: string) => void, factory: unknown) => Promise<SchemaEngine>
  }
}
interface SchemaEngine {
  diff(input: unknown): Promise<{ stdout: string | null }>
  diagnoseMigrationHistory(input: unknown): Promise<Record<string, unknown>>
}

/** pg_catalog's internal "char" type, which adapter-pg refuses and the engine insists on. */
const CATALOG_CHAR = 18
const TEXT = 25
type QueryResult = { fields?: { name: string; dataTypeID: number }[] }
const charColumns = new Set<string>()

/** Lets the adapter read "char" columns as text, and remembers their names so that the engine is told what they are. */
function passAsText<T>(result: T): T {
  for (const one of [result].flat() as QueryResult[]) {
    for (const field of one?.fields ?? []) {
      if (field.dataTypeID !== CATALOG_CHAR) continue
      charColumns.add(field.name)
      field.dataTypeID = TEXT
    }
  }
  return result
}

class CatalogClient extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: pg's query has a dozen overloads and all of them pass through here
  override query(...args: any[]): any {
    const callback = args.at(-1)
    if (typeof callback === 'function')
      args[args.length - 1] = (error: Error, result: unknown) => callback(error, passAsText(result))
    // biome-ignore lint/suspicious/noExplicitAny: see above
    const result = (super.query as any)(...args)
    return typeof result?.then === 'function' ? result.then(passAsText) : result
  }
}

const poolFor = (url: string) =>
  new pg.Pool({ connectionString: url, max: 4, Client: CatalogClient as typeof pg.Client })

async function connect(pool: pg.Pool) {
  const adapter = await new PrismaPg(pool, { disposeExternalPool: true }).connect()
  // The adapter splits scripts at every semicolon, which breaks function bodies: send them whole.
  adapter.executeScript = async (sql: string) => {
    await pool.query(sql)
  }
  const queryRaw = adapter.queryRaw.bind(adapter)
  adapter.queryRaw = async (query) => {
    const result = await queryRaw(query)
    const columnTypes = result.columnNames.map((name, at) =>
      charColumns.has(name) ? ColumnTypeEnum.Character : result.columnTypes[at],
    )
    return { ...result, columnTypes: columnTypes as typeof result.columnTypes }
  }
  return adapter
}

function adapterFactory(url: string) {
  const main = poolFor(url)
  return {
    provider: 'postgres' as const,
    adapterName: '@prisma/adapter-pg',
    connect: () => connect(main),
    async connectToShadowDb() {
      const name = `prisma_shadow_${randomUUID()}`
      await main.query(`CREATE DATABASE "${name}"`)
      const shadow = new URL(url)
      shadow.pathname = `/${name}`
      const adapter = await connect(poolFor(shadow.href))
      const dispose = adapter.dispose.bind(adapter)
      adapter.dispose = async () => {
        await dispose()
        await main.query(`DROP DATABASE "${name}" WITH (FORCE)`)
      }
      return adapter
    },
  }
}

function migrationsList() {
  const baseDir = path.join(root, 'prisma/migrations')
  const lock = path.join(baseDir, 'migration_lock.toml')
  const folders = existsSync(baseDir)
    ? readdirSync(baseDir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    : []
  return {
    baseDir,
    lockfile: { path: 'migration_lock.toml', content: existsSync(lock) ? readFileSync(lock, 'utf8') : null },
    shadowDbInitScript: '',
    migrationDirectories: folders
      .map((folder) => folder.name)
      .sort()
      .map((name) => ({
        path: name,
        migrationFile: {
          path: 'migration.sql',
          content: { tag: 'ok', value: readFileSync(path.join(baseDir, name, 'migration.sql'), 'utf8') },
        },
      })),
  }
}

async function openEngine(url: string): Promise<SchemaEngine> {
  const require = createRequire(import.meta.url)
  const wasm = path.join(path.dirname(require.resolve('@prisma/schema-engine-wasm')), 'schema_engine_bg.wasm')
  const imports = { './schema_engine_bg.js': glue as unknown as WebAssembly.ModuleImports }
  const { instance } = await WebAssembly.instantiate(readFileSync(wasm), imports)
  const bound = glue as unknown as EngineGlue
  bound.__wbg_set_wasm(instance.exports)
  ;(instance.exports.__wbindgen_start as (() => void) | undefined)?.()
  const schema = path.join(root, 'prisma/schema.prisma')
  const factory = bindMigrationAwareSqlAdapterFactory(adapterFactory(url) as never)
  return bound.SchemaEngine.new({ datamodels: [[schema, readFileSync(schema, 'utf8')]] }, () => {}, factory)
}

const filters = { externalTables: [], externalEnums: [] }
const datamodel = () => {
  const schema = path.join(root, 'prisma/schema.prisma')
  return { tag: 'schemaDatamodel', files: [{ path: schema, content: readFileSync(schema, 'utf8') }], configDir: root }
}

/** SQL that would turn what the migrations make into schema.prisma; an empty migration where they agree. */
export async function migrationDrift(ownerUrl: string, from: 'empty' | 'migrations' = 'migrations'): Promise<string> {
  const engine = await openEngine(ownerUrl)
  const source = from === 'empty' ? { tag: 'empty' } : { tag: 'migrations', ...migrationsList() }
  const result = await engine.diff({
    from: source,
    to: datamodel(),
    script: true,
    exitCode: null,
    shadowDatabaseUrl: null,
    filters,
  })
  return result.stdout ?? ''
}

/** What `prisma migrate` thinks of the database behind `ownerUrl`: edited, failed, missing or unapplied migrations. */
export async function diagnoseMigrations(ownerUrl: string): Promise<Record<string, unknown>> {
  const engine = await openEngine(ownerUrl)
  return engine.diagnoseMigrationHistory({ migrationsList: migrationsList(), optInToShadowDatabase: true, filters })
}

if (import.meta.main) {
  const url = process.env.DATABASE_OWNER_URL ?? ''
  const command = process.argv[2]
  if (command === 'diagnose') console.log(JSON.stringify(await diagnoseMigrations(url), null, 2))
  else console.log(await migrationDrift(url, command === 'diff-empty' ? 'empty' : 'migrations'))
  process.exit(0)
}
