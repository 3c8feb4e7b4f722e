import { systemPool } from '#app/platform/db.server.ts'

/** One reader-and-applier per Stripe customer at a time, over all processes. Waits up to 30 s. @throws where that is not enough */
export async function withCustomerLock<T>(customerId: string, work: () => Promise<T>): Promise<T> {
  const connection = await systemPool().connect()
  try {
    await connection.query("SET lock_timeout = '30s'")
    await connection.query('SELECT pg_advisory_lock(7311, hashtext($1))', [customerId])
    try {
      return await work()
    } finally {
      await connection.query('SELECT pg_advisory_unlock(7311, hashtext($1))', [customerId])
    }
  } finally {
    await connection.query('RESET lock_timeout').catch(() => undefined)
    connection.release()
  }
}
