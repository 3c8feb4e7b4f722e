import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hangUp } from '#app/domain/providers/dispatch-call.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { useDatabase } from '#test/database.ts'
import { ledgerOf, makeCustomer, until, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)

const words = 'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
const usage = 'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"cost":0.000001}}\n\n'

/** A provider that says that it is over, and keeps its connection open. */
const lines: ServerResponse[] = []
const provider = createServer((request, response) => {
  request.resume()
  lines.push(response)
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write(words)
  setTimeout(() => response.write(`${usage}data: [DONE]\n\n`), 20)
})
beforeAll(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  const { port } = provider.address() as AddressInfo
  await hangUp()
  db.configure({ PROVIDER_BASE_URL_OPENROUTER: `http://127.0.0.1:${port}/api/v1` })
})
afterAll(() => {
  provider.closeAllConnections()
  provider.close()
})

const hungUp = () => until(() => lines.at(-1)?.closed, 'the connection to the provider to close')

const ask = (token: string, signal?: AbortSignal) =>
  fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ model: 'openai/gpt-5-mini', stream: true, messages: [{ role: 'user', content: 'hi' }] }),
    signal,
  })

test('a provider that stays on the line after its end mark is hung up on: nothing it adds piles up', async () => {
  const { token } = await makeCustomer()
  expect(await (await ask(token)).text()).toContain('[DONE]')
  await hungUp()
})

test('callers who leave between the ledger and the end of their answer use up nothing', async () => {
  const { token, workspaceId } = await makeCustomer()
  const leave = new AbortController()
  await (await ask(token, leave.signal)).body?.getReader().read()
  await until(async () => (await ledgerOf(db, workspaceId)).length === 1, 'the ledger row')
  leave.abort()
  await hungUp()
  expect(singleton<{ drains: number } | null>('gateway:flights', () => null)?.drains).toBe(0)
})
