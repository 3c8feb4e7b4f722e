/** A process that is told to end does end, whatever becomes of its database, and is not cut short by being told twice. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '#scripts/build.ts'
import { useDatabase } from '#test/database.ts'
import { until } from '#test/gateway.ts'
import { beginForm, startWeb } from '#test/web.ts'

const db = useDatabase()
const sockets = new Set<Socket>()
beforeAll(() => void ensureBuilt())
afterAll(() => {
  for (const socket of sockets) socket.destroy()
})

/** The way to the database, which can fall silent without a word: as a cut network does. */
async function throughProxy(): Promise<{ url: string; silence: () => void; close: () => void }> {
  const target = new URL(db.appUrl)
  let silent = false
  const server = createServer((near) => {
    const far = connect(Number(target.port || 5432), target.hostname)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (piece) => silent || to.write(piece))
      from.on('error', () => {})
      from.on('end', () => silent || to.end())
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(target)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  const silence = () => {
    silent = true
  }
  return { url: url.href, silence, close: () => server.close() }
}

test('a process whose database fell silent ends all the same', async () => {
  const proxy = await throughProxy()
  const web = await startWeb((more) => db.childEnv({ LOG_LEVEL: 'info', DATABASE_URL: proxy.url, ...more }))
  proxy.silence()
  web.child.kill('SIGTERM')
  expect(await web.exited).toEqual({ code: 1, signal: null })
  expect(web.output()).toContain('did not end in order')
  proxy.close()
})

test('a page that is under way is answered also where the process is told again to end', async () => {
  const web = await startWeb((more) => db.childEnv({ LOG_LEVEL: 'info', ...more }))
  const finish = await beginForm(web.origin)
  web.child.kill('SIGTERM')
  await until(() => web.output().includes('draining'), 'the process to drain')
  web.child.kill('SIGTERM')
  web.child.kill('SIGINT')
  await until(() => web.output().includes('told again'), 'the process to hear it again')
  expect(await finish()).toBe(400)
  expect(await web.exited).toEqual({ code: 0, signal: null })
})
