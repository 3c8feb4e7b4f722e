/** What the web process does with a page that is under way when it is told to end. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { expect, test } from 'vitest'
import { ensureBuilt } from '#scripts/build.ts'
import { useDatabase } from '#test/database.ts'
import { until } from '#test/gateway.ts'
import { startWeb } from '#test/web.ts'

const db = useDatabase()

test('a form that is on its way when the process is told to end is answered, and then it ends', async () => {
  ensureBuilt()
  const web = await startWeb((more) => db.childEnv({ LOG_LEVEL: 'info', ...more }))
  const form = 'intent=sign-in&email=nobody%40example.com&password=wrong'
  const sent = request(`${web.origin}/sign-in`, {
    method: 'POST',
    headers: {
      origin: web.origin,
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': form.length,
      expect: '100-continue',
    },
  })
  sent.flushHeaders()
  await once(sent, 'continue') // the process has it
  web.child.kill('SIGTERM')
  await until(() => web.output().includes('draining'), 'the process to drain')
  const answer = once(sent, 'response')
  sent.end(form)
  const [response] = (await answer) as [IncomingMessage]
  expect(response.resume().statusCode).toBe(400)
  expect(await web.exited).toEqual({ code: 0, signal: null })
})
