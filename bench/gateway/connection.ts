import { connect, type Socket } from 'node:net'

/** One reply as the caller saw it: performance.now() of its first and last byte. */
export interface Reply {
  first: number
  last: number
  /** 0: the connection broke. */
  status: number
  /** Whether it came to its end: all bytes of a plain body, or the end mark of a stream. */
  whole: boolean
  bytes: number
}

const headEnd = Buffer.from('\r\n\r\n')
const tailBytes = 64

/**
 * A client connection that keeps alive and costs as little as can be: no HTTP library, since on two cores the load
 * generator's work is taken from the database's.
 */
export class Connection {
  readonly #port: number
  #socket: Socket | null = null
  #done: ((reply: Reply) => void) | null = null
  #head: Buffer | null = null
  #left = -1
  #tail = ''
  #reply: Reply = { first: 0, last: 0, status: 0, whole: false, bytes: 0 }

  constructor(port: number) {
    this.#port = port
  }

  get socket(): Socket | null {
    return this.#socket
  }

  send(request: Buffer, done: (reply: Reply) => void): void {
    this.#done = done
    this.#head = null
    this.#left = -1
    this.#tail = ''
    this.#reply = { first: 0, last: 0, status: 0, whole: false, bytes: 0 }
    this.#open().write(request)
  }

  close(): void {
    this.#done = null
    this.#socket?.destroy()
  }

  #open(): Socket {
    if (this.#socket && !this.#socket.destroyed) return this.#socket
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    this.#socket = socket
    socket.on('data', (piece: Buffer) => this.#take(piece))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      if (this.#socket === socket) this.#finish(false)
    })
    return socket
  }

  #take(piece: Buffer): void {
    this.#reply.bytes += piece.length
    if (this.#reply.status === 0) this.#takeHead(piece)
    else this.#takeBody(piece)
  }

  #takeHead(piece: Buffer): void {
    const head = this.#head ? Buffer.concat([this.#head, piece]) : piece
    const end = head.indexOf(headEnd)
    if (end < 0) {
      this.#head = head
      return
    }
    const text = head.toString('latin1', 0, end)
    this.#reply.status = Number(text.slice(9, 12))
    const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
    if (length !== undefined) this.#left = Number(length)
    if (head.length > end + 4 || this.#left === 0) this.#takeBody(head.subarray(end + 4))
  }

  #takeBody(piece: Buffer): void {
    this.#reply.first ||= performance.now()
    if (this.#left >= 0) {
      this.#left -= piece.length
      if (this.#left <= 0) this.#finish(true)
      return
    }
    const newest = piece.toString('latin1', Math.max(0, piece.length - tailBytes))
    this.#tail = newest.length >= tailBytes ? newest : (this.#tail + newest).slice(-tailBytes)
    if (this.#tail.endsWith('\r\n0\r\n\r\n')) this.#finish(this.#tail.includes('data: [DONE]'))
  }

  #finish(whole: boolean): void {
    const done = this.#done
    if (!done) return
    this.#done = null
    this.#reply.last = performance.now()
    this.#reply.whole = whole
    done(this.#reply)
  }
}

export interface Target {
  name: string
  port: number
  path: string
  token: string
  pid: number | null
}

/** The bytes of a whole HTTP request to a target. */
export function requestTo(target: Target, body: Buffer): Buffer {
  const head = `POST ${target.path} HTTP/1.1\r\nhost: 127.0.0.1:${target.port}\r\nauthorization: Bearer ${target.token}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}
