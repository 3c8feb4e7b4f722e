import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'

/** The practical limit of a Node gateway: bytes in, bytes out, nothing looked at. Its own process; prints its origin. */
const pool = new Pool(process.argv[2] as string, { connections: null, pipelining: 1, keepAliveTimeout: 60_000 })

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => {
    const body = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
    const headers = ['authorization', 'Bearer bench', 'content-type', 'application/json']
    pool.dispatch(
      { method: 'POST', path: request.url ?? '/', headers, body },
      {
        onRequestStart: () => {},
        onResponseStart: (_controller, status, upstream) => {
          const length = upstream['content-length']
          const type = String(upstream['content-type'])
          response.writeHead(status, { 'content-type': type, ...(length ? { 'content-length': String(length) } : {}) })
        },
        onResponseData: (controller, piece) => {
          if (response.write(piece)) return
          controller.pause()
          response.once('drain', () => controller.resume())
        },
        onResponseEnd: () => void response.end(),
        onResponseError: () => response.destroy(),
      },
    )
  })
})
server.listen(0, '127.0.0.1', () =>
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })}\n`),
)
