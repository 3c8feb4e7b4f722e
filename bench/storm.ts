/**
 * The whole product in a storm: two web processes and two workers, killed over and over, under calls of five workspaces with
 * five kinds of plan, providers that fail in every way, callers who leave, keys that are changed, and a plan that comes and
 * goes. Then each workspace is ended, which invoices what it used, and everything is compared: answers, costs at the provider,
 * ledger, rollups, budgets, usage events, invoices, Stripe. Ends with 1 where anything differs.
 *   node bench/storm.ts [--minutes 5]
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { endWorkspace } from '#app/domain/billing/end-workspace.server.ts'
import { sweepAttempts } from '#app/domain/ledger/sweep-attempts.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { ensureBuilt } from '#scripts/build.ts'
import { usablePort } from '#scripts/demo/ports.ts'
import { seedDemo } from '#scripts/demo/seed.ts'
import { forgetLocalState, localState } from '#scripts/demo/state.ts'
import { type LocalSystem, startLocalSystem } from '#scripts/demo/system.ts'
import { commandLineOperator } from '#scripts/operator.ts'
import { startEmbeddedPostgres } from '#scripts/postgres/embedded.ts'
import { sdkClient } from '#test/sandbox/stripe/sdk-client.ts'
import { readGeneration } from '#workers/read-generation.ts'
import { changeKeysUntil, changePlansUntil, setBudgets } from './storm/changes.ts'
import { findings } from './storm/check.ts'
import { type Fleet, startFleet } from './storm/processes.ts'
import { callUntil } from './storm/traffic.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' } } })
const say = (line: string) => console.log(line)

async function storm(system: LocalSystem, fleet: Fleet, tokens: Record<string, string>, ports: number[]) {
  const end = Date.now() + Number(values.minutes) * 60_000
  const origins = ports.map((port) => `http://127.0.0.1:${port}/v1`)
  const meter = { workspace: 'dune', type: 'sandbox_seconds' }
  const [traffic, kills, keys, plans] = await Promise.all([
    callUntil(end, { tokens, origins, meter }),
    fleet.killUntil(end - 5_000),
    changeKeysUntil(end),
    changePlansUntil(end - 20_000, sdkClient(system.stripe)),
  ])
  await system.openrouter.settled()
  const seen = [...traffic.seen].sort(([, a], [, b]) => b - a).map(([what, count]) => `${what}: ${count}`)
  say(`\n${seen.join(' · ')}`)
  say(`killed: web ${kills.web}, workers ${kills.worker} times; keys changed ${keys} times, the plan ${plans} times`)
  return traffic
}

/** Ends every workspace, and waits until its invoices are written. */
async function invoiceAll(owner: pg.Client): Promise<void> {
  // As if an hour had passed: what the dead left open is asked for at the provider, or estimated.
  await sweepAttempts(readGeneration, new Date(Date.now() + 61 * 60_000))
  const { rows } = await owner.query('SELECT id FROM workspaces ORDER BY slug')
  for (const { id } of rows) await endWorkspace(commandLineOperator(), { workspaceId: id })
  const open = `SELECT count(*)::int n FROM invoice_runs WHERE state NOT IN ('done', 'done_zero', 'carried', 'review', 'held')`
  for (const deadline = Date.now() + 120_000; (await owner.query(open)).rows[0].n > 0; await delay(500))
    if (Date.now() > deadline) throw new Error('invoices were not written within two minutes')
}

const state = localState('storm')
if (state.has('postgres')) await (await startEmbeddedPostgres(state.postgresDir)).stop()
forgetLocalState(state)
ensureBuilt(() => say('Building the console …'))
const undos: (() => Promise<void>)[] = []
try {
  const none = { web: 0, stripe: 0, openrouter: 0, providers: 0, smtp: 0, inbox: 0 }
  const system = await startLocalSystem(state, { onStop: (undo) => void undos.push(undo) }, none)
  system.openrouter.settings({ pace: { firstMs: 5, gapMs: 1 } })
  system.providers.pace(5, 1)
  Object.assign(process.env, system.settings)
  await openVault()
  undos.push(closeDatabase)
  const tokens = (await seedDemo(system, say)) ?? {}
  await setBudgets()
  const owner = new pg.Client({ connectionString: system.postgres.url })
  await owner.connect()
  undos.push(() => owner.end())
  const ports = [Number(system.settings.PORT), await usablePort(0)]
  const fleet = await startFleet(system.settings, ports, `${state.dir}/processes.log`)
  let surprises: string[] | undefined
  undos.push(async () => void (surprises ?? (await fleet.stop())))
  const traffic = await storm(system, fleet, tokens, ports)
  await invoiceAll(owner)
  surprises = await fleet.stop()
  const found = await findings(owner, traffic, system.openrouter.chats())
  found.push(['processes that ended by themselves', 4, surprises.length])
  say('\ncompared  different')
  for (const [what, compared, different] of found)
    say(`${String(compared).padStart(8)}  ${String(different).padStart(9)}  ${what}`)
  if (found.some(([, , different]) => different > 0)) process.exitCode = 1
} finally {
  while (undos.length) await undos.pop()?.()
}
