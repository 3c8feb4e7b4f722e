import { systemPool } from '#app/platform/db.server.ts'

/**
 * Takes away what is left of grants past their time, by the database's clock. Nobody can draw on them before that either: this
 * only puts it into the books.
 * @returns how many grants ended
 */
export async function expireCredits(): Promise<number> {
  let total = 0
  for (;;) {
    const { rows } = await systemPool().query<{ ended: number }>('SELECT metering.expire_credits()::int AS ended')
    const ended = rows[0]?.ended ?? 0
    total += ended
    if (ended === 0) return total
  }
}
