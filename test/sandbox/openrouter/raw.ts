import { type Exchange, pause, sever, writePiece } from './exchange.ts'
import type { RawReply } from './scenario.ts'

const bytesOf = (piece: string): Buffer =>
  piece.startsWith('base64:') ? Buffer.from(piece.slice(7), 'base64') : Buffer.from(piece)

/** Sends exactly what a test laid out, each piece in its own write, then ends, breaks off or goes silent. */
export async function sendRaw(exchange: Exchange, raw: RawReply): Promise<void> {
  const { response, line } = exchange
  line.status = raw.status
  const headers = raw.headers ?? [['content-type', 'application/json']]
  response.writeHead(raw.status, headers.flat())
  response.flushHeaders()
  const pieces = raw.pieces.map(bytesOf)
  for (let round = 0; round < (raw.repeat ?? 1); round += 1) {
    for (const piece of pieces) {
      if (!(await writePiece(exchange, piece))) return
      if (pieces.length > 1 && raw.repeat === undefined) await pause(exchange, 2)
    }
  }
  if (raw.then === 'destroy') sever(exchange)
  else if (raw.then !== 'hang') response.end()
  line.completed = raw.then === undefined || raw.then === 'end'
}
