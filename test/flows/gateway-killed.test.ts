import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sweepAttempts } from '#app/domain/ledger/sweep-attempts.server.ts'
import { hangUp } from '#app/domain/providers/dispatch-call.server.ts'
import { forgetAllOpenKeys } from '#app/domain/vault/open-provider-key.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, makeCustomer, openAttemptsOf, piecesOf, type Row, until } from '#test/gateway.ts'
import { type JournalLine, readJournalFile } from '#test/sandbox/openrouter/journal.ts'
import { fingerprintOf } from '#test/sandbox/openrouter/keys.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import { readGeneration } from '#workers/read-generation.ts'

const db = useDatabase()
const model = 'openai/gpt-5-mini'
let sandbox: OpenRouterSandbox
let journalFile: string
const started: ChildProcess[] = []

beforeAll(async () => {
  journalFile = path.join(await mkdtemp(path.join(tmpdir(), 'keymargin-killed-')), 'journal.jsonl')
  sandbox = await startOpenRouterSandbox({ journalFile })
  db.configure({ PROVIDER_BASE_URL_OPENROUTER: sandbox.baseUrl })
  await db.owner.query('SELECT metering.ensure_month_partition(current_date)')
})

afterAll(async () => {
  for (const child of started) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  forgetAllOpenKeys()
  await hangUp()
  await sandbox.close()
  await rm(path.dirname(journalFile), { recursive: true })
})

/** A real process that serves the gateway. */
async function startGateway(): Promise<{ child: ChildProcess; origin: string }> {
  const child = spawn(process.execPath, [path.resolve('test/gateway-process.ts')], {
    env: db.childEnv({ PROVIDER_BASE_URL_OPENROUTER: sandbox.baseUrl }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return { child, origin: JSON.parse(line.toString()).origin }
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

/** One call that may be torn away at any moment; answers whether its end was seen. */
async function callOnce(
  origin: string,
  customer: Customer,
  streamed: boolean,
  prompt: string,
): Promise<{ id: string | null; ended: boolean }> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${customer.token}` }
  const body = JSON.stringify({ model, stream: streamed, messages: [{ role: 'user', content: prompt }] })
  let id: string | null = null
  let text = ''
  try {
    const response = await fetch(`${origin}/v1/chat/completions`, { method: 'POST', headers, body })
    id = response.headers.get('x-keymargin-call-id')
    for await (const piece of piecesOf(response)) text += piece.toString()
    return { id, ended: streamed ? text.includes('[DONE]') : response.ok }
  } catch {
    return { id, ended: text.includes('[DONE]') }
  }
}

/** Waits until the first byte of so many attempts of a workspace is noted. */
const firstBytes = ({ workspaceId }: Customer, count: number) =>
  until(async () => {
    const noted = 'SELECT FROM metering.attempts WHERE upstream_id IS NOT NULL AND workspace_id = $1'
    return (await db.owner.query(noted, [workspaceId])).rowCount === count
  }, 'the first byte')

const afterSilence = () => new Date(Date.now() + 61_000)

/** Sweeps until nothing is left open: a record may appear a moment after its generation ended. */
async function sweepAll(): Promise<void> {
  await sandbox.settled()
  await until(async () => {
    await sweepAttempts(readGeneration, afterSilence())
    const { rowCount } = await db.owner.query('SELECT FROM metering.attempts WHERE upstream_id IS NOT NULL')
    return rowCount === 0
  }, 'the sweep')
  // What the provider cannot be asked about waits until no process can hold its reply any more.
  await sweepAttempts(readGeneration, new Date(Date.now() + 21 * 60_000))
  expect(await openAttemptsOf(db)).toBe(0)
}

async function ledger(): Promise<Map<string, Row>> {
  const { rows } = await db.owner.query('SELECT * FROM metering.inference_calls')
  const byId = new Map(rows.map((row) => [row.id as string, row as Row]))
  expect(byId.size).toBe(rows.length)
  return byId
}

/** Every request that reached the provider is in the ledger exactly once, and for what the provider billed. */
function compare(journal: JournalLine[], rows: Map<string, Row>): { estimated: number; exact: number } {
  let estimated = 0
  let exact = 0
  for (const line of journal) {
    const row = rows.get(line.headers['x-request-id'] ?? '')
    expect(row, `the call of ${line.generation}`).toBeDefined()
    if (row?.usage_source === 'estimated') {
      estimated += 1
      continue
    }
    exact += 1
    expect(row?.upstream_id).toBe(line.generation)
    expect(BigInt(row?.raw_cost_pico)).toBe(parsePico(line.cost ?? ''))
  }
  const reached = new Set(journal.map((line) => line.headers['x-request-id']))
  for (const [id, row] of rows)
    if (!reached.has(id))
      expect([row.status, row.charge_pico]).toEqual(['interrupted', row.charge_mode === 'tier' ? '0' : null])
  return { estimated, exact }
}

describe('kill -9 of the web process in the middle of many calls', () => {
  test('every request that reached the provider appears exactly once, at what the provider billed', async () => {
    const customers = [await makeCustomer(), await makeCustomer({ key: null })]
    const otherKey = `sk-or-v1-${'4e1d'.repeat(16)}`
    const held = await makeCustomer({ key: otherKey })
    const ended: string[] = []
    const moments = [
      { arrived: 4, ended: 0 },
      { arrived: 16, ended: 1 },
      { arrived: 24, ended: 8 },
      { arrived: 24, ended: 18 },
    ]
    for (const [round, moment] of moments.entries()) {
      const { child, origin } = await startGateway()
      const heldAs = Promise.withResolvers<void>()
      sandbox.fault({ scenario: { until: heldAs.promise }, match: { key: fingerprintOf(otherKey) } })
      const heldCall = callOnce(origin, held, true, 'held')
      await firstBytes(held, round + 1)
      const before = sandbox.chats().length
      const calls = Array.from({ length: 24 }, async (_, index) => {
        const customer = customers[index % 2] as Customer
        const told = await callOnce(
          origin,
          customer,
          index % 3 !== 0,
          `round ${round} call ${index} [[sandbox output=${10 + index};gapMs=4;firstMs=${index * 3}]]`,
        )
        if (told.ended && told.id) ended.push(told.id)
      })
      await until(() => {
        const lines = sandbox.chats().slice(before)
        return lines.length >= moment.arrived && lines.filter((line) => line.event === 'ended').length >= moment.ended
      }, 'the moment')
      await kill(child)
      heldAs.resolve()
      await Promise.all([heldCall, ...calls])
    }
    const { child } = await startGateway()
    await sweepAll()
    const rows = await ledger()
    const journal = readJournalFile(journalFile).filter((line) => line.path.endsWith('/chat/completions'))
    expect(journal.length).toBeGreaterThanOrEqual(4 + 16 + 24 + 24)
    const { exact } = compare(journal, rows)
    expect(exact).toBeGreaterThan(0)
    for (const id of ended) expect(rows.get(id)?.origin, 'a call whose end was seen').toBe('gateway')
    expect([...rows.values()].some((row) => row.origin === 'sweeper' && row.usage_source === 'generation')).toBe(true)
    const different = await db.owner.query(
      '(TABLE metering.call_daily_recount EXCEPT SELECT * FROM metering.call_daily_rollups) UNION ALL (SELECT * FROM metering.call_daily_rollups EXCEPT TABLE metering.call_daily_recount)',
    )
    expect(different.rows).toEqual([])
    await kill(child)
  })

  test('SIGTERM lets running calls end, takes no new ones, and leaves nothing open', async () => {
    const customer = await makeCustomer()
    const { child, origin } = await startGateway()
    const { promise, resolve: goOn } = Promise.withResolvers<void>()
    sandbox.fault({ scenario: { until: promise } })
    const asked = callOnce(origin, customer, true, 'held')
    await until(async () => (await openAttemptsOf(db)) === 1, 'the attempt')
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    goOn()
    expect((await asked).ended).toBe(true)
    expect(await exited).toEqual([0, null])
    expect(await openAttemptsOf(db)).toBe(0)
    const { rows } = await db.owner.query(
      'SELECT status, origin FROM metering.inference_calls WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    expect(rows).toEqual([{ status: 'ok', origin: 'gateway' }])
  })

  test('a call of a living process is left alone, and two sweepers settle one attempt once', async () => {
    const customer = await makeCustomer()
    const { child, origin } = await startGateway()
    const { promise, resolve: goOn } = Promise.withResolvers<void>()
    sandbox.fault({ scenario: { output: 20, until: promise } })
    const asked = callOnce(origin, customer, true, 'held')
    await until(async () => (await openAttemptsOf(db)) === 1, 'the attempt')
    expect(await sweepAttempts(readGeneration, new Date())).toEqual({ settled: 0, waiting: 0 })
    await firstBytes(customer, 1)
    await kill(child)
    goOn()
    await asked
    await sandbox.settled()
    const results = await Promise.all([1, 2, 3].map(() => sweepAttempts(readGeneration, afterSilence())))
    expect(results.reduce((sum, result) => sum + result.settled, 0)).toBe(1)
    const { rows } = await db.owner.query(
      'SELECT status, origin, usage_source, output_tokens::int FROM metering.inference_calls WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    expect(rows).toEqual([{ status: 'interrupted', origin: 'sweeper', usage_source: 'generation', output_tokens: 20 }])
  })

  test('with the provider’s record gone, the call is a marked estimate and its margin is held', async () => {
    const customer = await makeCustomer()
    const { child, origin } = await startGateway()
    const { promise, resolve: goOn } = Promise.withResolvers<void>()
    sandbox.fault({ scenario: { output: 20, until: promise } })
    const asked = callOnce(origin, customer, true, 'held')
    await firstBytes(customer, 1)
    await kill(child)
    goOn()
    await asked
    sandbox.settings({ generationStatus: 404 })
    expect(await sweepAttempts(readGeneration, afterSilence())).toEqual({ settled: 0, waiting: 1 })
    expect(await sweepAttempts(readGeneration, new Date(Date.now() + 16 * 60_000))).toEqual({ settled: 1, waiting: 0 })
    sandbox.settings({ generationStatus: null })
    const { rows } = await db.owner.query(
      'SELECT status, usage_source, cost_source, charge_pico FROM metering.inference_calls WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    expect(rows).toEqual([
      { status: 'interrupted', usage_source: 'estimated', cost_source: 'unknown', charge_pico: null },
    ])
  })
})
