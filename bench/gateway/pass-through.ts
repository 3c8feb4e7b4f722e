import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'

/**
 * The practical limit of a Node gateway: bytes in, bytes out, nothing looked at. With `tail` as second argument it also keeps
 * references to the newest pieces and reads the usage at the end: the least that metering can cost, without a ledger. With `ledger`
 * it writes the two statements of a call instead, and nothing else: what the promise costs that no call is lost.
 * Its own process; prints its origin.
 */
const pool = new Pool(process.argv[2] as string, { connections: null, pipelining: 1, keepAliveTimeout: 60_000 })
const readsTail = process.argv[3] === 'tail'
const ledger = process.argv[3] === 'ledger' ? await import('./two-statements.ts') : null
const keep = 2_048

let seenTokens = 0

class Tail {
  #pieces: Buffer[] = []
  #bytes = 0

  push(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    while (this.#pieces[0] && this.#bytes - this.#pieces[0].length >= keep)
      this.#bytes -= this.#pieces.shift()?.length ?? 0
  }

  read(): void {
    const text = Buffer.concat(this.#pieces).toString('utf8')
    const at = text.lastIndexOf('"usage":{')
    if (at >= 0) seenTokens += Number(/"total_tokens":(\d+)/.exec(text.slice(at))?.[1] ?? 0)
  }
}

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const pieces: Buffer[] = []
  const tail = readsTail ? new Tail() : null
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', async () => {
    const opening = await ledger?.open()
    const body = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
    let last: Buffer | null = null
    const headers = ['authorization', 'Bearer bench', 'content-type', 'application/json']
    pool.dispatch(
      { method: 'POST', path: request.url ?? '/', headers, body },
      {
        onRequestStart: (controller) => {
          response.once('close', () => response.writableFinished || controller.abort(new Error('the client has gone')))
        },
        onResponseStart: (_controller, status, upstream) => {
          const length = upstream['content-length']
          const type = String(upstream['content-type'])
          response.writeHead(status, { 'content-type': type, ...(length ? { 'content-length': String(length) } : {}) })
        },
        onResponseData: (controller, piece) => {
          tail?.push(piece)
          if (ledger) {
            // The last piece waits for the ledger.
            if (last) response.write(last)
            last = piece
            return
          }
          if (response.write(piece)) return
          controller.pause()
          response.once('drain', () => controller.resume())
        },
        onResponseEnd: () => {
          tail?.read()
          if (ledger && opening) ledger.settle(opening).then(() => response.end(last))
          else response.end()
        },
        onResponseError: () => response.destroy(),
      },
    )
  })
})
server.listen(0, '127.0.0.1', 2048, () =>
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })}\n`),
)
process.once('SIGTERM', () => process.exit(seenTokens < 0 ? 1 : 0))
