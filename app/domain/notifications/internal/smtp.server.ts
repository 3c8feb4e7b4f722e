import { createTransport } from 'nodemailer'
import { env } from '#app/platform/env.server.ts'
import type { MailText } from './notice-mail.ts'

/**
 * Milliseconds: to connect, to be greeted, and of silence. A server that uses up all of it at every step still ends before
 * the lease that a worker holds on a notice.
 */
const patience = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 10_000 }

export interface Mailer {
  /** @throws Error where the server took it for nobody; one that some addresses refused counts as sent */
  send(mail: MailText & { id: string; to: string[] }): Promise<void>
  close(): void
}

const isLoopback = (host: string) => /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/.test(host)

/**
 * The door to the mail server; null where none is set. In production a server elsewhere must offer TLS: without it the
 * password and the mail would travel readably.
 */
export function openMailer(): Mailer | null {
  const { smtpUrl, mailFrom, production, appOrigin } = env()
  if (!smtpUrl || !mailFrom) return null
  const requireTLS = production && !isLoopback(new URL(smtpUrl).hostname)
  const transport = createTransport({
    url: smtpUrl,
    requireTLS,
    ...patience,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const host = new URL(appOrigin).hostname
  return {
    async send({ id, to, subject, text }) {
      await transport.sendMail({
        from: mailFrom,
        to: to.map((address) => ({ name: '', address })),
        subject,
        text,
        // The same for every try: a mail that was sent twice because a worker died can be told by it.
        messageId: `<notice-${id}@${host}>`,
        headers: { 'Auto-Submitted': 'auto-generated' },
      })
    },
    close: () => transport.close(),
  }
}
