import { expireCredits } from '#app/domain/credits/expire-credits.server.ts'
import { tellOfLowCredits } from '#app/domain/credits/note-low-credits.server.ts'
import type { Task } from '../task.ts'

export const expireOldCredits: Task<'expire-credits'> = async (_payload, { now }) => {
  await expireCredits()
  await tellOfLowCredits(now())
}
