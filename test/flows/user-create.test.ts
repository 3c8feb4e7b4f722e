/** `npm run user:create`: what cannot be made is said in words, and nothing is left of it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { expect, test } from 'vitest'
import { inSystem } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const SCRIPT = path.resolve(import.meta.dirname, '../../scripts/user-create.ts')
const email = 'ada@example.com'
const person = ['--email', email, '--name', 'Ada Okafor', '--role', 'owner', '--workspace-name', 'New']

async function create(...args: string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, [SCRIPT, ...person, ...args], { env: db.childEnv({ NODE_OPTIONS: '' }) })
  child.stdin.on('error', () => undefined) // It ended before it asked.
  child.stdin.end('a password that is long enough')
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, text }
}

// It ended in the words of a database, and the person who was made by then had an address that was taken.
test('a customer that another workspace has, or had, a plan that there is none: refused before anybody is made', async () => {
  const { id, slug } = await makeWorkspace({ stripeCustomerId: 'cus_before' })
  await inSystem((tx) => tx.workspace.update({ where: { id }, data: { stripeCustomerId: 'cus_now' } }))
  for (const [wish, said] of [
    [['--plan', 'enterprise', '--stripe-customer', 'cus_before'], `cus_before is, or was, the customer of ${slug}.`],
    [['--plan', 'golden'], 'There is no plan golden.'],
  ] as const)
    expect(await create('--workspace', 'new', ...wish)).toEqual({ code: 1, text: `${said}\n` })
  expect(await inSystem((tx) => tx.user.count({ where: { email } }))).toBe(0)
  const made = await create('--workspace', 'new', '--plan', 'enterprise', '--stripe-customer', 'cus_new')
  expect(made).toMatchObject({ code: 0, text: expect.stringContaining(`${email} can sign in now.`) })
  const data = { slug: 'new', stripeCustomerId: 'cus_new', members: { some: { user: { email } } } }
  expect(await inSystem((tx) => tx.workspace.count({ where: data }))).toBe(1)
})

test('another customer for a workspace that there is: says what changes it, in the place of leaving it out', async () => {
  const { slug } = await makeWorkspace({ stripeCustomerId: 'cus_kept' })
  const refused = await create('--workspace', slug, '--stripe-customer', 'cus_other')
  expect(refused).toMatchObject({ code: 1, text: expect.stringContaining('npm run stripe:customer') })
})

test('somebody who has an account comes into another workspace with it, once, and without a password', async () => {
  const [first, second] = [(await makeWorkspace()).slug, (await makeWorkspace()).slug]
  const bo = ['--email', 'bo@example.com', '--workspace']
  expect(await create(...bo, first)).toMatchObject({ code: 0 })
  const again = await create(...bo, second)
  expect(again).toEqual({ code: 0, text: 'bo@example.com keeps their account and password.\n' })
  const memberships = await inSystem((tx) => tx.member.count({ where: { user: { email: 'bo@example.com' } } }))
  expect(memberships).toBe(2)
  expect(await create(...bo, second)).toMatchObject({ code: 1, text: expect.stringContaining('Settings → Members') })
})
