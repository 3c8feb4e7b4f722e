import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { type Prisma, PrismaClient } from '#app/generated/prisma/client.ts'
import { endBackground } from './background.server.ts'
import { env } from './env.server.ts'
import { dropSingleton, singleton } from './singleton.server.ts'

/**
 * The two doors to the database. Every connection assumes one of two roles at start, whatever login it uses; neither owns
 * a table nor bypasses row level security (docs/decisions/0005).
 */
type Role = 'keymargin_app' | 'keymargin_system'
export type Tx = Prisma.TransactionClient

export interface TenantScope {
  workspaceId: string
  userId?: string
}

interface Door {
  pool: pg.Pool
  prisma: PrismaClient
}

/** How long a connection may take, be it to open or to come free, and a statement at the server, in ms. */
const CONNECT_MS = 10_000
const STATEMENT_MS = 60_000

function openDoor(role: Role): Door {
  const pool = new pg.Pool({
    connectionString: env().databaseUrl,
    max: env().databasePoolMax,
    // A database that went silent without a word (a cut network) is given up on: a query would wait for it for ever.
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: STATEMENT_MS + 5_000,
    keepAlive: true,
    options: `-c role=${role} -c statement_timeout=${STATEMENT_MS} -c idle_in_transaction_session_timeout=60000 -c timezone=UTC`,
    application_name: `keymargin ${role} ${env().processId}`,
  })
  // An idle connection that breaks must not end the process: the next query opens a new one.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return { pool, prisma: new PrismaClient({ adapter: new PrismaPg(pool) }) }
}

const door = (role: Role): Door => singleton(`db:${role}`, () => openDoor(role))
const transactionLimits = { timeout: 30_000, maxWait: 10_000 }

/** A transaction that sees one workspace. With `userId`, that person's own memberships too. */
export function inTenant<T>(scope: TenantScope, work: (tx: Tx) => Promise<T>): Promise<T> {
  return door('keymargin_app').prisma.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT set_config('app.workspace_id', ${scope.workspaceId}, true), set_config('app.user_id', ${scope.userId ?? ''}, true)`
    return work(tx)
  }, transactionLimits)
}

/** A transaction of a signed-in person before a workspace is chosen: their memberships and nothing else. */
export function asUser<T>(userId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  return door('keymargin_app').prisma.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT set_config('app.workspace_id', '', true), set_config('app.user_id', ${userId}, true)`
    return work(tx)
  }, transactionLimits)
}

/** A transaction that sees all workspaces: jobs and operators. The tenant stands in every `where` all the same. */
export function inSystem<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
  return door('keymargin_system').prisma.$transaction(work, transactionLimits)
}

/** Raw connections for batched SQL over all workspaces (admission, attempts, ledger) and for the job queue. */
export const systemPool = (): pg.Pool => door('keymargin_system').pool

/** The database's clock: for whatever is compared with times that it wrote. A process's own may be minutes off. */
export async function databaseNow(): Promise<Date> {
  const { rows } = await systemPool().query<{ now: Date }>('SELECT clock_timestamp() AS now')
  return rows[0]?.now as Date
}

/** Raw connections of the console's role: no workspace is visible unless a transaction names one. */
export const appPool = (): pg.Pool => door('keymargin_app').pool

/** Prisma outside tenant tables (identity, catalogue), as the console's role. */
export const identityPrisma = (): PrismaClient => door('keymargin_app').prisma

/** A connection of its own for LISTEN. The caller ends it. */
export function listenClient(): pg.Client {
  return new pg.Client({
    connectionString: env().databaseUrl,
    options: '-c role=keymargin_app',
    application_name: `keymargin listen ${env().processId}`,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
  })
}

/** Whether the database refused what was to be written (data, a rule, a deadlock), and is not simply away. */
export const isRefusal = (error: unknown): boolean =>
  /^(?:2[0-9A-Z]|40|P0)[0-9A-Z]{3}$/.test((error as { code?: string }).code ?? '')

/** Ends all pools of this process, after the work in the background that writes to them. */
export async function closeDatabase(): Promise<void> {
  await endBackground()
  for (const role of ['keymargin_app', 'keymargin_system'] as const) {
    const open = door(role)
    dropSingleton(`db:${role}`)
    await open.prisma.$disconnect()
    if (!open.pool.ended) await open.pool.end()
  }
}
