import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { closeDatabase } from '#app/platform/db.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import { useDatabase } from '#test/database.ts'
import {
  type Customer,
  lastChat,
  ledgerOf,
  makeCustomer,
  openAttemptsOf,
  piecesOf,
  until,
  useGateway,
} from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)

const ask = (customer: Customer, content: string, stream: boolean) =>
  fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${customer.token}` },
    body: JSON.stringify({ model: 'openai/gpt-5-mini', stream, messages: [{ role: 'user', content }] }),
  })

/** Ends the connections of the application and lets no new ones in. */
async function cutOff(): Promise<void> {
  const { rows } = await db.owner.query('SELECT current_database() AS name')
  await db.owner.query(`ALTER DATABASE ${rows[0].name} CONNECTION LIMIT 0`)
  await db.owner.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
}

async function letIn(): Promise<void> {
  const { rows } = await db.owner.query('SELECT current_database() AS name')
  await db.owner.query(`ALTER DATABASE ${rows[0].name} CONNECTION LIMIT -1`)
}

test('while the database is away new calls are refused before anything is sent', async () => {
  const customer = await makeCustomer()
  await cutOff()
  const before = gateway.sandbox.chats().length
  const response = await ask(customer, 'hello', false)
  const text = await response.text()
  await letIn()
  expect(response.status).toBe(503)
  expect(text).not.toMatch(/postgres|ECONN|connection|database/i)
  expect(gateway.sandbox.chats().length).toBe(before)
  expect((await ask(customer, 'hello', false)).status).toBe(200)
})

test('a stream that ends while the database is away waits for it: no end without its row, and the row once', async () => {
  const customer = await makeCustomer()
  const { promise, resolve: goOn } = Promise.withResolvers<void>()
  gateway.sandbox.fault({ scenario: { output: 20, until: promise } })
  const response = await ask(customer, 'hello', true)
  let text = ''
  const reading = (async () => {
    for await (const piece of piecesOf(response)) text += piece.toString()
  })()
  await until(() => text.length > 0, 'the first words')
  await cutOff()
  goOn()
  await until(() => lastChat(gateway.sandbox).event === 'ended', 'the end of the generation')
  expect(text).not.toContain('[DONE]')
  await letIn()
  await reading
  expect(text).toContain('[DONE]')
  const rows = await ledgerOf(db, customer.workspaceId)
  expect(rows).toMatchObject([
    { status: 'ok', usage_source: 'provider', raw_cost_pico: parsePico(lastChat(gateway.sandbox).cost ?? '') },
  ])
  expect(await openAttemptsOf(db)).toBe(0)
})

test('a database that takes the connection and says nothing is given up on, and the call refused', async () => {
  const customer = await makeCustomer()
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const before = gateway.sandbox.chats().length
  db.configure({ DATABASE_URL: `postgresql://nobody:x@127.0.0.1:${(silent.address() as AddressInfo).port}/none` })
  await closeDatabase()
  const response = await ask(customer, 'hello', false)
  db.configure({ DATABASE_URL: db.appUrl })
  await closeDatabase()
  silent.close()
  expect(response.status).toBe(503)
  expect(gateway.sandbox.chats().length).toBe(before)
  expect((await ask(customer, 'hello', false)).status).toBe(200)
})
