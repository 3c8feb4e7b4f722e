import type { IncomingMessage } from 'node:http'
import { GatewayError } from './gateway-error.ts'

/** Largest request body, in bytes, and how long it may take to arrive, in milliseconds. */
const largestBody = 4 * 1024 * 1024
const slowestBodyMs = 30_000

const tooLarge = () => new GatewayError(413, 'body_too_large', 'The body is larger than 4 MiB.')

const jsonType = /^application\/json\b/i

/** Refuses from the headers alone what would be refused later anyway. */
export function checkBodyHeaders(request: IncomingMessage, accepted: RegExp = jsonType): void {
  const { headers } = request
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    throw new GatewayError(415, 'unsupported_encoding', "Send the body without 'Content-Encoding'.")
  const type = headers['content-type']
  if (type !== undefined && !accepted.test(type))
    throw new GatewayError(415, 'unsupported_media_type', "Send the body as 'Content-Type: application/json'.")
  if (Number(headers['content-length'] ?? 0) > largestBody) throw tooLarge()
}

/**
 * Reads the body into one buffer; a body that came in one piece is not copied.
 * @throws GatewayError 413 too large, 408 too slow, 400 broken off
 */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let bytes = 0
    // From here on what still comes is dropped: the answer to it is under way.
    const fail = (error: GatewayError) => {
      clearTimeout(slow)
      request.off('data', take)
      reject(error)
    }
    const slow = setTimeout(
      () => fail(new GatewayError(408, 'body_too_slow', 'The body took longer than 30 seconds to arrive.')),
      slowestBodyMs,
    )
    const take = (piece: Buffer) => {
      bytes += piece.length
      if (bytes > largestBody) fail(tooLarge())
      else pieces.push(piece)
    }
    request.on('data', take)
    request.once('end', () => {
      clearTimeout(slow)
      resolve(pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces))
    })
    request.once('error', () => fail(new GatewayError(400, 'body_broken_off', 'The body broke off.')))
    request.once('close', () => {
      if (!request.complete) fail(new GatewayError(400, 'body_broken_off', 'The body broke off.'))
    })
  })
}
