/** The console's snippets, each run as somebody would who pastes it. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Snippet, snippetsFor, tokenPlaceholder } from '#app/domain/tokens/snippets.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makeCustomer, until, useGateway } from '#test/gateway.ts'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')
const model = 'anthropic/claude-sonnet-4.6'
const ids = snippetsFor({ origin: 'http://x', token: 'x', model }).map(({ id }) => id)

const db = useDatabase()
const gateway = useGateway(db)
let folder: string

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'keymargin-snippets-'))
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const has = (command: string, ...args: string[]) => spawnSync(command, args).status === 0

/** Why a snippet cannot run on this machine; null: it can. */
function missingFor(id: Snippet['id']): string | null {
  if (id === 'curl') return has('curl', '--version') ? null : 'no curl'
  if (id === 'python') return has('python3', '-c', 'import openai') ? null : 'no python3 with the openai package'
  return null
}

/** What the events of a stream say together. */
const saidIn = (events: string): string =>
  events
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? '')
    .join('')

/** @returns what the program printed; of curl, which prints the events, what they say */
async function execute({ id, text }: Snippet): Promise<string> {
  // A proxy that the machine goes out through does not know this machine.
  const env = { ...process.env, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' }
  const options = { cwd: folder, env, timeout: 300_000 }
  if (id === 'curl') return saidIn((await run('bash', ['-c', text], options)).stdout)
  const file = path.join(folder, id === 'python' ? 'snippet.py' : `${id}.ts`)
  writeFileSync(file, text)
  return (await run(id === 'python' ? 'python3' : process.execPath, [file], options)).stdout
}

const snippetOf = (id: Snippet['id'], { token }: Pick<Customer, 'token'>): Snippet => {
  const found = snippetsFor({ origin: gateway.origin, token, model }).find((one) => one.id === id)
  if (!found) throw new Error(`no snippet ${id}`)
  return found
}

test.for(ids)('%s prints the reply, and is one metered call', async (id, { skip }) => {
  const missing = missingFor(id)
  if (missing) skip(missing)
  const customer = await makeCustomer()
  gateway.sandbox.fault({ scenario: { text: 'Hello from the snippet' } })
  expect(await execute(snippetOf(id, customer))).toContain('Hello from the snippet')
  const rows = await until(async () => {
    const found = await ledgerOf(db, customer.workspaceId)
    return found.length > 0 && found
  }, 'the call in the ledger')
  expect(rows).toMatchObject([{ status: 'ok', model, key_source: 'workspace' }])
  expect(rows[0]?.output_tokens).toBeGreaterThan(0)
})

test('the placeholder is no token, and each snippet holds the one it is given', () => {
  expect(tokenPlaceholder).not.toMatch(/^km_/)
  const texts = snippetsFor({ origin: 'https://gw.example', token: 'km_test_x', model: 'm/x' })
  for (const { text } of texts) {
    expect(text).toContain('km_test_x')
    expect(text).toContain('https://gw.example/v1')
    expect(text).toContain('m/x')
  }
})
