/** What a process does with what is under way when it is told to end. */
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import type { Call, ReplyOutcome } from '#app/gateway/call.ts'
import { drainGateway } from '#app/gateway/gateway.server.ts'
import { takeCallsAgain } from '#app/gateway/in-flight.server.ts'
import { reportOnKey } from '#app/gateway/report-refusal.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { useDatabase } from '#test/database.ts'
import { ledgerOf, makeCustomer, openAttemptsOf, until, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)
afterEach(takeCallsAgain)

const body = JSON.stringify({ model: 'openai/gpt-5-mini', messages: [{ role: 'user', content: 'hello' }] })

const begin = (token: string) =>
  request(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    },
  })

async function answerOf(sent: ClientRequest): Promise<[status: number | undefined, code: string]> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return [
    response.statusCode,
    (JSON.parse((await response.toArray()).join('')) as { error: { code: string } }).error.code,
  ]
}

const answering = () => singleton<{ answering: number }>('gateway:flights', () => ({ answering: 0 })).answering

test('a process that ends waits for a call that is still arriving, and refuses it in words; nothing of it is written', async () => {
  const { token, workspaceId } = await makeCustomer()
  const arriving = begin(token)
  arriving.write(body.slice(0, 20))
  await until(() => answering() === 1, 'the call to begin')
  let over = false
  const drained = drainGateway(20_000).finally(() => {
    over = true
  })
  const late = begin(token)
  late.end(body)
  expect(await answerOf(late)).toEqual([503, 'shutting_down'])
  expect(over).toBe(false)
  arriving.end(body.slice(20))
  expect(await answerOf(arriving)).toEqual([503, 'shutting_down'])
  expect(await drained).toBe(0)
  expect([await ledgerOf(db, workspaceId), await openAttemptsOf(db)]).toEqual([[], 0])
})

test('what nobody waits for is written before the database is closed', async () => {
  const call = { provider: { id: 'openrouter', name: 'OpenRouter' }, dispatch: { keyId: null, keyVersion: null } }
  const refused = { ending: 'refused', httpStatus: 401, errorCode: 'platform_key_rejected' } as ReplyOutcome
  reportOnKey(call as unknown as Call, refused)
  await closeDatabase()
  const { rows } = await db.owner.query("SELECT reference FROM alerts WHERE kind = 'platform_key_refused'")
  expect(rows).toEqual([{ reference: 'openrouter' }])
})
