import { call, reconcile, sweep } from './calls.ts'
import { check } from './check.ts'
import { close } from './invoices.ts'
import { expireCredits, grantCredits, monthAfter, monthOfMs } from './ledger-model.ts'
import { transact } from './run-log.ts'
import { type Gateway, SimulatedWorld } from './world.ts'

const hour = 3_600_000
const day = 24 * hour
const months = ['2026-01', '2026-02', '2026-03']

interface Cast {
  world: SimulatedWorld
  gateways: Gateway[]
}

const living = ({ gateways }: Cast): Set<string> => new Set(gateways.filter((one) => one.alive).map((one) => one.id))

/** Whoever was killed is started again: as another process, that remembers nothing. */
function restart({ world, gateways }: Cast): void {
  for (const [at, gateway] of gateways.entries()) if (!gateway.alive) gateways[at] = world.gateway()
}

/** Keys come and go; each change raises the epoch in the same transaction, as every use case of the vault does. */
async function changeKey({ world }: Cast): Promise<void> {
  const workspace = world.random.pick(world.workspaces)
  const process = world.process('admin')
  await transact(world.turns, process, { next: () => null }, () => {
    const version = world.keys.get(workspace.id) ?? null
    world.keys.set(workspace.id, version === null || world.random.chance(300) ? (version ?? 0) + 1 : null)
    workspace.keyEpoch += 1n
  })
}

function grant({ world }: Cast): void {
  for (const workspace of world.workspaces) {
    const cents = BigInt(world.random.below(600))
    const expiresAt = world.random.chance(500) ? world.now + world.random.below(20 * day) : null
    const amountPico = cents * 10_000_000_000n + BigInt(world.random.below(1_000))
    if (amountPico > 0n)
      grantCredits(workspace, { id: world.name('grant'), amountPico, grantedAt: world.now, expiresAt })
  }
}

/** Some hours of traffic, with everything that runs beside it. */
async function traffic(cast: Cast, calls: number): Promise<void> {
  const { world } = cast
  const { turns, random } = world
  for (let n = 0; n < calls; n += 1) {
    const gateway = random.pick(cast.gateways)
    const workspace = random.pick(world.workspaces)
    turns.start(() => call(world, gateway, workspace))
  }
  if (random.chance(300)) turns.start(() => changeKey(cast))
  for (const workspace of world.workspaces) {
    if (random.chance(400)) turns.start(() => sweep(world, world.process('worker'), workspace, living(cast)))
    if (random.chance(300)) turns.start(() => reconcile(world, world.process('worker'), workspace))
  }
  await turns.play()
  for (const workspace of world.workspaces) if (random.chance(300)) expireCredits(workspace, world.now)
  restart(cast)
}

/** The close of a month by jobs that fail, come again, and sometimes run twice, while late calls still arrive. */
async function closing(cast: Cast, month: string, rounds: number): Promise<void> {
  const { world } = cast
  const { turns, random } = world
  for (let round = 0; round < rounds; round += 1) {
    for (const workspace of world.workspaces) {
      const workers = 1 + (random.chance(250) ? 1 : 0)
      for (let n = 0; n < workers; n += 1) turns.start(() => close(world, world.process('worker'), workspace, month))
    }
    if (random.chance(200)) await traffic(cast, 1)
    await turns.play()
    if (random.chance(12)) {
      const deed = world.stripe.meddle()
      if (deed) world.meddled.add(deed.runId)
    }
    world.now += random.chance(150) ? 26 * hour : random.below(hour)
  }
}

/** The faults are over: everything that is still owed to anybody must now come to its end by itself. */
async function settleDown(cast: Cast): Promise<void> {
  const { world } = cast
  world.turns.killRate = 0
  world.databaseFaultRate = 0
  world.stripe.faultRate = 0
  restart(cast)
  for (let round = 0; round < 2; round += 1) {
    world.now += 26 * hour
    for (const workspace of world.workspaces)
      world.turns.start(() => sweep(world, world.process('worker'), workspace, new Set()))
    await world.turns.play()
    for (const workspace of world.workspaces)
      world.turns.start(() => reconcile(world, world.process('worker'), workspace))
    await world.turns.play()
  }
  for (let month = months[0] as string; month <= monthAfter(monthOfMs(world.now)); month = monthAfter(month)) {
    // Twice: the first may have lost a race for a lock that was dropped.
    for (let round = 0; round < 2; round += 1) {
      for (const workspace of world.workspaces)
        world.turns.start(() => close(world, world.process('worker'), workspace, month))
      await world.turns.play()
    }
  }
}

export interface Played {
  calls: number
  runs: number
  requests: number
}

/**
 * Plays one installation for three months: two gateways, workers, keys that come and go, credits, a provider that forgets to
 * say what a call cost, a Stripe that answers twice or not at all, a database that loses answers, people in the Dashboard, and
 * processes that are killed between any two steps. Then the faults stop, and everything must come right. No clock, no chance and
 * no order but those of the seed.
 * @throws Error naming the guarantee that was broken
 */
export async function simulate(seed: number): Promise<Played> {
  const world = new SimulatedWorld(seed)
  const cast: Cast = { world, gateways: [world.gateway(), world.gateway()] }
  const { random, turns } = world
  turns.killRate = random.pick([0, 0, 5, 20, 60])
  world.databaseFaultRate = random.pick([0, 0, 15, 60])
  world.stripe.faultRate = random.pick([0, 30, 150, 400])
  for (const month of months) {
    grant(cast)
    for (let spell = 0; spell < 2; spell += 1) {
      await traffic(cast, 1 + random.below(4))
      world.now += random.below(9 * day)
    }
    const [year, number] = month.split('-').map(Number) as [number, number]
    world.now = Math.max(world.now, Date.UTC(year, number, 3, 0, 10))
    await closing(cast, month, 1 + random.below(4))
  }
  await settleDown(cast)
  check(world)
  const calls = world.workspaces.reduce((sum, workspace) => sum + workspace.calls.size, 0)
  return { calls, runs: world.runs.size, requests: world.stripe.requests }
}
