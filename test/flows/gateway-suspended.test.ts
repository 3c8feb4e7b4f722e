import { expect, test } from 'vitest'
import { inSystem } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeCustomer, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)

test('a workspace that is suspended sends nothing from the next call on, and goes on when the suspension ends', async () => {
  const customer = await makeCustomer()
  const ask = async () => {
    const response = await fetch(`${gateway.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${customer.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'anthropic/claude-sonnet-4.6', messages: [{ role: 'user', content: 'Hi' }] }),
    })
    const { error } = (await response.json()) as { error?: { code: string } }
    return [response.status, error?.code]
  }
  const suspend = (suspendedAt: Date | null) =>
    inSystem((tx) =>
      tx.workspace.update({
        where: { id: customer.workspaceId },
        data: { suspendedAt, keyEpoch: { increment: 1 } },
      }),
    )
  expect(await ask()).toEqual([200, undefined])
  await suspend(new Date())
  const sent = gateway.sandbox.chats().length
  expect(await ask()).toEqual([403, 'workspace_suspended'])
  expect(gateway.sandbox.chats()).toHaveLength(sent)
  await suspend(null)
  expect(await ask()).toEqual([200, undefined])
})
