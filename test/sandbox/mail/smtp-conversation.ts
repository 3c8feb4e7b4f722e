import type { Socket } from 'node:net'

/** One mail as the server took it. */
export interface ReceivedMail {
  at: string
  /** Envelope: `MAIL FROM` and each `RCPT TO`. */
  from: string
  to: string[]
  /** Headers and body, dots unstuffed, lines ended by \r\n. */
  raw: string
}

export interface Postbox {
  /** Says what to answer to a finished mail: 250, or a refusal such as 451. */
  take(mail: ReceivedMail): Promise<number>
}

const address = (line: string): string => /<([^>]*)>/.exec(line)?.[1] ?? ''

/** The part of RFC 5321 that a client without TLS and login needs, one connection. */
export function holdSmtpConversation(socket: Socket, postbox: Postbox): void {
  let pending = ''
  let from = ''
  let to: string[] = []
  let data: string[] | null = null
  const say = (line: string) => void (socket.writable && socket.write(`${line}\r\n`))

  const endOfData = (lines: string[]) => {
    const raw = lines.map((line) => (line.startsWith('..') ? line.slice(1) : line)).join('\r\n')
    const taken = postbox.take({ at: new Date().toISOString(), from, to, raw })
    void taken.then((code) => say(code === 250 ? '250 2.0.0 Taken' : `${code} 4.3.0 Not now`))
    from = ''
    to = []
  }
  const commands: Record<string, (line: string) => void> = {
    EHLO: () => say('250-sandbox\r\n250-8BITMIME\r\n250 SIZE 1048576'),
    HELO: () => say('250 sandbox'),
    'MAIL FROM': (line) => {
      from = address(line)
      say('250 2.1.0 Ok')
    },
    'RCPT TO': (line) => {
      to.push(address(line))
      say('250 2.1.5 Ok')
    },
    DATA: () => {
      data = []
      say('354 End with a dot')
    },
    RSET: () => {
      to = []
      say('250 2.0.0 Ok')
    },
    NOOP: () => say('250 2.0.0 Ok'),
    QUIT: () => {
      say('221 2.0.0 Bye')
      socket.end()
    },
  }
  const hear = (line: string) => {
    if (data === null) {
      const command = Object.keys(commands).find((name) => line.toUpperCase().startsWith(name))
      return command ? commands[command]?.(line) : say('502 5.5.2 Not known')
    }
    if (line !== '.') return void data.push(line)
    const lines = data
    data = null
    endOfData(lines)
  }
  socket.setEncoding('utf8')
  socket.on('error', () => {})
  socket.on('data', (piece: string) => {
    const lines = (pending + piece).split('\r\n')
    pending = lines.pop() ?? ''
    for (const line of lines) hear(line)
  })
  say('220 sandbox ESMTP')
}
