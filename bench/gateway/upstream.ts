import { createServer, type Socket } from 'node:net'
import { heldEvents, heldEveryMs, largeBytes, markOf, paceFirstMs, paceNextMs, shapes } from './shapes.ts'

/**
 * A provider that costs almost nothing: raw sockets and replies made beforehand, so that on two cores the gateway is the
 * bottleneck and not what stands around it. The prompt's mark says how it answers. Its own process; prints its origin.
 */
const idle: Buffer = Buffer.alloc(0)

/** Bytes of large replies that were handed to the kernel, over all streams. */
let handedOver = 0
/** Chat requests that arrived whole. */
let served = 0

interface Request {
  head: string
  begin: Buffer
  bodyLeft: number
}

/** Sends the events of a stream one by one, each at its own moment after the start: delays do not add up. */
function pace(socket: Socket, firstMs: number, nextMs: number, count: number): void {
  const start = performance.now()
  const { head, events, end } = shapes.stream
  const send = (index: number) => {
    if (socket.destroyed) return
    const event = index < count ? (events[index % events.length] as Buffer) : end
    socket.write(index === 0 ? Buffer.concat([head, event]) : event)
    if (index < count)
      setTimeout(send, Math.max(0, start + firstMs + (index + 1) * nextMs - performance.now()), index + 1)
  }
  setTimeout(send, firstMs, 0)
}

/** Streams as fast as it is taken, and counts what the kernel took. */
function pour(socket: Socket): void {
  const { head, block, end } = shapes.large
  let counted = socket.bytesWritten
  const count = () => {
    handedOver += socket.bytesWritten - socket.writableLength - counted
    counted = socket.bytesWritten - socket.writableLength
  }
  socket.write(head)
  let left = Math.ceil(largeBytes / block.length)
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      left -= 1
      if (!socket.write(block, count)) return void socket.once('drain', more)
    }
    if (!socket.destroyed) socket.write(end, count)
  }
  more()
}

function answer(socket: Socket, request: Request): void {
  if (request.head.startsWith('GET ')) {
    const body = JSON.stringify({ handedOver, served })
    socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    return
  }
  served += 1
  const mark = markOf(request.begin)
  if (mark === 'paced') pace(socket, paceFirstMs, paceNextMs, shapes.stream.events.length)
  else if (mark === 'held') pace(socket, 0, heldEveryMs, heldEvents)
  else if (mark === 'large') pour(socket)
  else socket.write(request.begin.includes('"stream":true') ? shapes.wholeStream : shapes.json)
}

const server = createServer({ noDelay: true }, (socket) => {
  let request: Request | null = null
  let rest: Buffer = idle
  socket.on('error', () => socket.destroy())
  socket.on('data', (piece: Buffer) => {
    let at = 0
    if (!request) {
      rest = rest.length === 0 ? piece : Buffer.concat([rest, piece])
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = rest.toString('latin1', 0, end)
      request = { head, begin: idle, bodyLeft: Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0) }
      piece = rest
      at = end + 4
      rest = idle
    }
    if (request.begin.length < 512)
      request.begin = Buffer.concat([request.begin, piece.subarray(at, Math.min(piece.length, at + 512))])
    request.bodyLeft -= piece.length - at
    if (request.bodyLeft > 0) return
    answer(socket, request)
    request = null
  })
})
server.listen(0, '127.0.0.1', 2048, () => {
  const { port } = server.address() as { port: number }
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${port}` })}\n`)
})
