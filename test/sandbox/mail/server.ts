import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { inboxPage, type ReadableMail, readMail } from './inbox-page.ts'
import { holdSmtpConversation, type ReceivedMail } from './smtp-conversation.ts'

export interface MailSandbox {
  /** `smtp://127.0.0.1:PORT`, for SMTP_URL. */
  smtpUrl: string
  /** The inbox as a page. */
  url: string
  mails(): (ReceivedMail & ReadableMail)[]
  /** The next `times` mails are refused with this code, such as 451. */
  refuse(code: number, times: number): void
  /** Mails are taken, but nobody is told so until `release`. */
  hold(): { release(): void }
  close(): Promise<void>
}

const listen = (server: Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })

const closed = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()))

/** A mail server of our own on 127.0.0.1 that delivers to nobody, and a page that shows what it took. */
export async function startMailSandbox(ports: { smtp?: number; page?: number } = {}): Promise<MailSandbox> {
  if (process.env.NODE_ENV === 'production') throw new Error('The sandbox never runs with NODE_ENV=production')
  const mails: ReceivedMail[] = []
  const sockets = new Set<Socket>()
  let refusal = { code: 451, times: 0 }
  let held: Promise<void> = Promise.resolve()
  const take = async (mail: ReceivedMail): Promise<number> => {
    if (refusal.times-- > 0) return refusal.code
    mails.push(mail)
    await held
    return 250
  }
  const smtp = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    holdSmtpConversation(socket, { take })
  })
  const page = createHttpServer((_, response) =>
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(inboxPage(mails)),
  )
  const smtpPort = await listen(smtp, ports.smtp ?? 0)
  const pagePort = await listen(page, ports.page ?? 0)
  return {
    smtpUrl: `smtp://127.0.0.1:${smtpPort}`,
    url: `http://127.0.0.1:${pagePort}`,
    mails: () => mails.map((mail) => ({ ...mail, ...readMail(mail) })),
    refuse: (code, times) => {
      refusal = { code, times }
    },
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return { release: resolve }
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      page.closeAllConnections()
      await Promise.all([closed(smtp), closed(page)])
    },
  }
}
