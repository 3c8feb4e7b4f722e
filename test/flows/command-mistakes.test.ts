/** The operator's commands: what somebody can get wrong is told in words with the remedy, never as a trace through the code. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { expect, test } from 'vitest'
import { useDatabase } from '#test/database.ts'

const db = useDatabase()
const root = path.resolve(import.meta.dirname, '../..')

async function run(
  args: string[],
  change: Record<string, string> = {},
): Promise<{ code: number | null; text: string }> {
  const [script = '', ...more] = args
  const env = { ...db.childEnv({ NODE_OPTIONS: '' }), ...change }
  const child = spawn(process.execPath, [path.join(root, 'scripts', script), ...more], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, text }
}

const elsewhere = (change: (url: URL) => void): Record<string, string> => {
  const url = new URL(db.childEnv().DATABASE_URL as string)
  change(url)
  return { DATABASE_URL: url.href, DATABASE_OWNER_URL: url.href }
}
const preview = ['billing.ts', 'preview']

test.each([
  ['no server', () => elsewhere((url) => (url.port = '1')), 'The database does not answer.'],
  ['a wrong password', () => elsewhere((url) => (url.password = 'a-wrong-one')), 'refuses the login'],
  ['a database that there is none of', () => elsewhere((url) => (url.pathname = '/nowhere')), 'does not exist'],
  ['a database without tables', () => elsewhere((url) => (url.pathname = '/postgres')), 'npm run db:migrate'],
  ['a setting that is missing', () => ({ STRIPE_SECRET_KEY: '' }), '  - STRIPE_SECRET_KEY: missing'],
])('%s: told in words, with what to look at', async (_what, change, said) => {
  const changed = change()
  const { code, text } = await run(preview, changed)
  expect(text).toContain(said)
  expect(code).toBe(1)
  expect(text).not.toMatch(/^ +at |a-wrong-one|node:internal/m)
})

test('a login without the two roles: told which to grant', async () => {
  const login = `mistaken_${process.pid}`
  await db.owner.query(`CREATE ROLE ${login} LOGIN PASSWORD 'pw'`)
  try {
    const { code, text } = await run(
      preview,
      elsewhere((url) => Object.assign(url, { username: login, password: 'pw' })),
    )
    expect([code, text]).toEqual([1, expect.stringMatching(/^The login that DATABASE_URL names .* roles .*\n$/)])
  } finally {
    await db.owner.query(`DROP ROLE ${login}`)
  }
})

test('db:migrate too', async () => {
  const { code, text } = await run(
    ['migrate.ts'],
    elsewhere((url) => (url.port = '1')),
  )
  expect([code, text]).toEqual([
    1,
    'The database does not answer. Look at DATABASE_URL, and whether PostgreSQL runs there.\n',
  ])
})

test.each([
  [['billing.ts', 'preview', '--moth', '2026-10'], "Unknown option '--moth'"],
  [['prices.ts', 'raise'], 'Usage: npm run prices'],
  [['provider-usage.ts'], 'Usage: npm run provider:usage'],
  [['provider-usage.ts', 'nowhere.csv'], "no such file or directory, open 'nowhere.csv'"],
  [['usage-import.ts', '--tier'], 'Usage: npm run usage:import'],
  [['user-create.ts', '--mail', 'ada@example.com'], 'Usage: npm run user:create'],
  [['workspace-end.ts', '--workspace', 'acme'], 'Usage: npm run workspace:end'],
  [['workspace-end.ts', '--workspace', 'nobody', '--yes'], 'There is no workspace nobody.'],
  [['stripe-customer.ts', '--workspace', 'acme'], 'Usage: npm run stripe:customer'],
  [['stripe-endpoint.ts', 'make'], 'Usage: npm run stripe:endpoint'],
  [['catalogue-load.ts'], 'Name a catalogue file'],
  [['catalogue-load.ts', 'README.md'], 'is not valid JSON'],
])('%j: told how it is written', async (args, said) => {
  const { code, text } = await run(args)
  expect(text).toContain(said)
  expect(code).toBe(1)
  expect(text).not.toMatch(/^ +at |node:internal/m)
})
