import { reconcileBooks } from '#app/domain/billing/reconcile-books.server.ts'
import { log } from '#app/platform/log.server.ts'
import { readGeneration } from '../read-generation.ts'
import type { Task } from '../task.ts'

export const reconcileAllBooks: Task<'reconcile-books'> = async (_, { now }) => {
  const { compared, different } = await reconcileBooks(readGeneration, now())
  log[different ? 'warn' : 'info']({ compared, different }, 'books compared')
}
