/**
 * Locks over all processes. Each lives on a connection of its own: were it taken from the pool, a few lock holders waiting
 * for a second connection could hold each other up for good. It dies with its process, so nothing has to be cleaned up.
 */
import type pg from 'pg'
import { listenClient } from '#app/platform/db.server.ts'

const RUN_LOCK = 7310
const CUSTOMER_LOCK = 7311

/**
 * Runs `work` while no other process writes the same run (stripe §4 case 5).
 * @returns null where another does
 */
export function withRunLock<T>(runId: string, work: () => Promise<T>): Promise<T | null> {
  return onOwnConnection(async (connection) => {
    const { rows } = await connection.query<{ locked: boolean }>(
      'SELECT pg_try_advisory_lock($1, hashtext($2)) AS locked',
      [RUN_LOCK, runId],
    )
    return rows[0]?.locked ? await work() : null
  })
}

/** One reader-and-applier per Stripe customer at a time. Waits up to 30 s. @throws where that is not enough */
export function withCustomerLock<T>(customerId: string, work: () => Promise<T>): Promise<T> {
  return onOwnConnection(async (connection) => {
    await connection.query("SET lock_timeout = '30s'")
    await connection.query('SELECT pg_advisory_lock($1, hashtext($2))', [CUSTOMER_LOCK, customerId])
    return work()
  })
}

async function onOwnConnection<T>(use: (connection: pg.Client) => Promise<T>): Promise<T> {
  const connection = listenClient()
  // A cut connection loses the lock; what protects the money then is the log and Stripe's keys, not the lock.
  connection.on('error', () => {})
  await connection.connect()
  try {
    return await use(connection)
  } finally {
    await connection.end()
  }
}
