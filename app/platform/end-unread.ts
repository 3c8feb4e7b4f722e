import type { IncomingMessage, ServerResponse } from 'node:http'

/** How long the rest of a body is read and dropped, in milliseconds. */
const lingerMs = 5_000

/** Connections that end with the answer that is under way. */
const ending = new WeakSet<object>()

/**
 * Whether the request came in behind a body that was refused: its answer could not go out any more, so it is not begun either
 * (RFC 9112 §9.6). A call would be paid for and lost.
 */
export const comesTooLate = (request: IncomingMessage): boolean => ending.has(request.socket)

/**
 * Ends an answer that was given before the request's body was read to its end; its head says `Connection: close` and the length
 * of `text`. Closed at once, the connection would be reset under a client that is still sending, and the reset takes with it the
 * answer the client has not read yet (RFC 9112 §9.6): it would see a broken connection, not its 413. So the answer goes out whole,
 * what still comes is dropped, and the connection is closed when the body ends or the client leaves, at the latest after five
 * seconds, however much is still being sent.
 */
export function endUnread(request: IncomingMessage, response: ServerResponse, text: string): void {
  ending.add(request.socket)
  // Who was collecting the body would keep it all this time: of strangers too, as many as there are connections.
  request.removeAllListeners('data')
  response.write(text)
  let ended = false
  const end = () => {
    if (ended) return
    ended = true
    clearTimeout(late)
    response.end(() => request.complete || request.destroy())
  }
  const late = setTimeout(end, lingerMs)
  request.once('end', end).once('close', end).resume()
}
