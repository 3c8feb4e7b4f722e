import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { log } from '#app/platform/log.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { raiseAlert, resolveAlert } from './alerts.server.ts'
import { type MailedNotice, noticeMail } from './internal/notice-mail.ts'
import { type Mailer, openMailer } from './internal/smtp.server.ts'

/** Notices of one run; what is left waits for the next minute. */
const mostPerRun = 100
/** Roles that are written to: those who can do something about it. */
const addressed = ['owner', 'billing_admin']

interface Claimed extends MailedNotice {
  workspaceId: string
}

/**
 * Takes the oldest notice that is due, for this worker alone: others skip the locked row, and afterwards its `mail_after`
 * stands in the future. That lease is also the back-off (2, 4, 8, … 60 minutes): a failure has nothing more to write. Notices
 * of more than a day ago are not mailed, so that a mail server which is set up later sends no history.
 */
async function claimNext(): Promise<Claimed | null> {
  const rows = await inSystem(
    (tx) => tx.$queryRaw<Claimed[]>`
      UPDATE notices n SET mail_attempts = n.mail_attempts + 1,
             mail_after = clock_timestamp() + make_interval(mins => least(60, 2 * 2 ^ least(n.mail_attempts, 10))::int)
        FROM (SELECT workspace_id, id FROM notices
               WHERE mailed_at IS NULL AND dismissed_at IS NULL AND raised_at > clock_timestamp() - interval '1 day'
                 AND (mail_after IS NULL OR mail_after <= clock_timestamp())
               ORDER BY raised_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) AS due, workspaces w
       WHERE n.workspace_id = due.workspace_id AND n.id = due.id AND w.id = n.workspace_id
      RETURNING n.workspace_id::text AS "workspaceId", n.id::text, n.title, n.message, n.path,
                w.name AS "workspaceName", w.slug AS "workspaceSlug"`,
  )
  return rows[0] ?? null
}

async function addressesOf(tx: Tx, workspaceId: string): Promise<string[]> {
  const members = await tx.member.findMany({
    where: { workspaceId, role: { in: addressed } },
    select: { user: { select: { email: true } } },
    orderBy: { userId: 'asc' },
  })
  return members.map(({ user }) => user.email)
}

type Mailed = { sent: boolean; failure: string | null }

/** Sends one and says so in its row. */
async function mailOne(mailer: Mailer, notice: Claimed): Promise<Mailed> {
  const { workspaceId, id } = notice
  const to = await inSystem((tx) => addressesOf(tx, workspaceId))
  if (to.length === 0) return { sent: false, failure: null } // asked again when the back-off is over: somebody may become an admin
  try {
    await mailer.send({ id, to, ...noticeMail(notice, env().appOrigin) })
  } catch (error) {
    // The server's own words may repeat addresses and greetings: the code is enough.
    return { sent: false, failure: (error as { code?: string }).code ?? 'failed' }
  }
  await inSystem((tx) =>
    tx.notice.updateMany({ where: { workspaceId, id, mailedAt: null }, data: { mailedAt: new Date() } }),
  )
  return { sent: true, failure: null }
}

function sayOnceThatNobodyMails(): void {
  const said = singleton('mail-unset', () => ({ once: false }))
  if (!said.once) log.info({}, 'SMTP_URL is not set: notices are shown in the console only')
  said.once = true
}

/**
 * Mails what is due to the owners and billing admins of each workspace: one mail per notice. Any number of workers may do
 * this at once, and each notice is sent by one of them. A worker that dies after the mail server took a mail and before that
 * was written leaves the notice to be sent again: at least once, with the same Message-ID.
 * @returns how many notices were sent
 * @throws Error `mail_failed` where the server refused some, which are tried again later
 */
export async function mailNotices(at: Date): Promise<number> {
  const mailer = openMailer()
  if (!mailer) {
    sayOnceThatNobodyMails()
    return 0
  }
  let tried = 0
  let sent = 0
  const failures: string[] = []
  try {
    for (let notice = await claimNext(); notice; notice = await claimNext()) {
      tried += 1
      const mailed = await mailOne(mailer, notice)
      if (mailed.sent) sent += 1
      if (mailed.failure) failures.push(mailed.failure)
      // A server that is away keeps every notice waiting for its time-outs: the rest waits for the next minute.
      if (failures.length >= 3 || tried >= mostPerRun) break
    }
  } finally {
    mailer.close()
  }
  const [first] = failures
  if (!first) {
    if (sent) await inSystem((tx) => resolveAlert(tx, 'mail_failed', 'smtp', at))
    return sent
  }
  const message = `Notices cannot be mailed: the server at SMTP_URL answers with ${first}. They are tried again.`
  await inSystem((tx) => raiseAlert(tx, { kind: 'mail_failed', reference: 'smtp', message, at }))
  throw Object.assign(new Error(`${failures.length} of ${tried} notices could not be mailed`), { code: 'mail_failed' })
}
