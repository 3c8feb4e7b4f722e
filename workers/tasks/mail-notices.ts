import { mailNotices } from '#app/domain/notifications/mail-notices.server.ts'
import type { Task } from '../task.ts'

export const mailDueNotices: Task<'mail-notices'> = async (_, { now }) => {
  await mailNotices(now())
}
