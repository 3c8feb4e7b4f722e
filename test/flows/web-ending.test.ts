/** What the web process does with a page that is under way when it is told to end. */
import { expect, test } from 'vitest'
import { ensureBuilt } from '#scripts/build.ts'
import { useDatabase } from '#test/database.ts'
import { until } from '#test/gateway.ts'
import { beginForm, startWeb } from '#test/web.ts'

const db = useDatabase()

test('a form that is on its way when the process is told to end is answered, and then it ends', async () => {
  ensureBuilt()
  const web = await startWeb((more) => db.childEnv({ LOG_LEVEL: 'info', ...more }))
  const finish = await beginForm(web.origin)
  web.child.kill('SIGTERM')
  await until(() => web.output().includes('draining'), 'the process to drain')
  expect(await finish()).toBe(400)
  expect(await web.exited).toEqual({ code: 0, signal: null })
})
