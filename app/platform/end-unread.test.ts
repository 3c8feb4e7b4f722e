/** What an answer that came before its request's end leaves behind: no body that somebody goes on collecting, no request that is begun. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { expect, test } from 'vitest'
import { comesTooLate, endUnread } from './end-unread.ts'

/** Sends `first`, and `then` once it was answered. @returns all that came back until the connection was closed */
async function exchange(serve: RequestListener, first: string, then: string): Promise<string> {
  const server = createServer(serve).listen(0, '127.0.0.1')
  try {
    await once(server, 'listening')
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1', () => socket.write(first))
    let said = ''
    socket.on('data', (piece: Buffer) => {
      if (!said) socket.write(then)
      said += piece
    })
    socket.on('error', () => {})
    await once(socket, 'close')
    return said
  } finally {
    server.close()
  }
}

const post = (length: number) => `POST / HTTP/1.1\r\nHost: here\r\nContent-Length: ${length}\r\n\r\n`

const refuse: RequestListener = (request, response) => {
  response.writeHead(401, { 'content-length': 2, connection: 'close' })
  endUnread(request, response, 'no')
}

// Each connection kept up to 4 MiB for seconds, whoever it was that sent them.
test('what comes behind the answer is collected by nobody', async () => {
  let taken = ''
  const said = await exchange(
    (request, response) => {
      request.on('data', (piece: Buffer) => {
        taken += piece
        if (taken === 'ab') refuse(request, response)
      })
    },
    `${post(5)}ab`,
    'cde',
  )
  expect(said).toMatch(/^HTTP\/1\.1 401 [\s\S]*\r\n\r\nno$/)
  expect(taken).toBe('ab')
})

// A call that came in behind a refused one was sent and charged, and its reply had nowhere to go.
test('a request that comes behind the refused body is known as one that cannot be answered', async () => {
  const late: boolean[] = []
  const said = await exchange(
    (request, response) => {
      late.push(comesTooLate(request))
      if (late.length === 1) refuse(request, response)
    },
    `${post(5)}ab`,
    `cde${post(1)}x`,
  )
  expect(late).toEqual([false, true])
  expect(said.match(/HTTP\/1\.1/g)).toHaveLength(1)
})
