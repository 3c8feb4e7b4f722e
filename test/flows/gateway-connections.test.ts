/** What clients do with their connection is no other call's trouble, and no call is left hanging by it. */
import { connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makeCustomer, openAttemptsOf, until, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)

const bodyOf = (content: string, stream = true) =>
  JSON.stringify({ model: 'openai/gpt-5-mini', stream, messages: [{ role: 'user', content }] })

function requestText(token: string, body: string, ...lines: string[]): string {
  const head = [
    'POST /v1/chat/completions HTTP/1.1',
    'Host: gateway',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...lines,
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

/** A raw connection, and all that has come over it. */
async function dial(options: { allowHalfOpen?: boolean } = {}) {
  const socket: Socket = connect({ port: Number(new URL(gateway.origin).port), host: '127.0.0.1', ...options })
  let heard = ''
  let closed = false
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  await new Promise((resolve) => socket.once('connect', resolve))
  return { socket, heard: () => heard, closed: () => closed }
}

const upgrade = (to: string) => `Connection: Upgrade\r\nUpgrade: ${to}\r\n`

const rowsOf = ({ workspaceId }: Customer, count: number) =>
  until(async () => {
    const found = await ledgerOf(db, workspaceId)
    return found.length === count && found
  }, 'the ledger')

describe('a client', () => {
  test.each([
    ['announces', 'Content-Length: 100000000', ''],
    ['sends', 'Transfer-Encoding: chunked', '100000\r\n'],
  ])('that %s a body which is too large hears so, however much it goes on sending', async (_name, length, before) => {
    const { token } = await makeCustomer()
    const { socket, heard, closed } = await dial()
    socket.write(requestText(token, '').replace('Content-Length: 0', length))
    const piece = Buffer.from(`${before}${' '.repeat(1024 * 1024)}${before && '\r\n'}`)
    const more = () => {
      while (!closed()) if (!socket.write(piece)) return void socket.once('drain', more)
    }
    more()
    await until(closed, 'the end of the connection')
    expect(heard()).toMatch(/^HTTP\/1\.1 413 /)
    expect(heard()).toContain('body_too_large')
  })

  test('that sends the next request before it has read the answer to the last, and leaves: both calls end', async () => {
    const customer = await makeCustomer()
    const before = gateway.sandbox.chats().length
    const { socket } = await dial()
    socket.pause()
    const long = 'x [[sandbox output=3000;gapMs=1]]'
    socket.write(
      requestText(customer.token, bodyOf('x [[sandbox output=300;gapMs=10]]')) +
        requestText(customer.token, bodyOf(long)),
    )
    await until(() => gateway.sandbox.chats().length === before + 2, 'both calls')
    socket.destroy()
    const rows = await rowsOf(customer, 2)
    expect(rows.map((row) => row.status)).toEqual(['client_closed', 'client_closed'])
    expect(await openAttemptsOf(db)).toBe(0)
  })

  test('that does so, and leaves while the second answer waits behind the first: nothing holds its provider back', async () => {
    const customer = await makeCustomer()
    const before = gateway.sandbox.chats().length
    const { socket } = await dial()
    socket.write(requestText(customer.token, bodyOf('x [[sandbox output=3000;gapMs=10]]')))
    await until(() => gateway.sandbox.chats().length === before + 1, 'the first call')
    const filler = `data: {"choices":[{"delta":{"content":"${'x'.repeat(60_000)}"}}]}\n\n`
    const headers: [string, string][] = [['content-type', 'text/event-stream']]
    gateway.sandbox.fault({ scenario: { raw: { status: 200, headers, pieces: [filler], repeat: 100 } } })
    socket.write(requestText(customer.token, bodyOf('second')))
    await until(() => gateway.sandbox.blocked() === 1, 'its provider held back by nobody reading')
    socket.destroy()
    await rowsOf(customer, 2)
  })

  test('that closes its own half and listens no longer than that: its call is accounted for', async () => {
    const customer = await makeCustomer()
    const before = gateway.sandbox.chats().length
    const { socket } = await dial({ allowHalfOpen: true })
    socket.write(requestText(customer.token, bodyOf('x [[sandbox output=60;gapMs=10]]')))
    await until(() => gateway.sandbox.chats().length === before + 1, 'the call')
    socket.end()
    const [row] = await rowsOf(customer, 1)
    expect(row).toMatchObject({ status: 'client_closed', usage_source: 'provider', output_tokens: 60 })
    expect(await openAttemptsOf(db)).toBe(0)
  })

  test.each([
    ['HEAD', 'HEAD /v1/models HTTP/1.1', '', 405],
    ['OPTIONS', 'OPTIONS /v1/chat/completions HTTP/1.1', '', 405],
    ['TRACE', 'TRACE /v1/models HTTP/1.1', '', 405],
    ['that would rather speak HTTP/2', 'GET /v1/openapi.json HTTP/1.1', upgrade('h2c'), 200],
    ['that would rather have a WebSocket', 'GET /v1/openapi.json HTTP/1.1', upgrade('websocket'), 200],
    ['with headers of 64 KiB', 'GET /v1/openapi.json HTTP/1.1', `x-a: ${'a'.repeat(64 * 1024)}\r\n`, 431],
    ['that expects what nobody does', 'GET /v1/openapi.json HTTP/1.1', 'Expect: 200-ok\r\n', 417],
  ])('%s is answered', async (_name, line, more, status) => {
    const { socket, heard } = await dial()
    socket.write(`${line}\r\nHost: gateway\r\n${more}\r\n`)
    await until(heard, 'an answer')
    expect(heard().slice(0, 13)).toBe(`HTTP/1.1 ${status} `)
    socket.destroy()
  })
})
