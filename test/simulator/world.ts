/** One simulated installation: its clock, its database, Stripe, a provider, and the processes that come and go. */

import type { KeySource } from '#app/domain/plans/plans.ts'
import { type PriceBook, priceTokens } from '#app/domain/pricing/pricing.ts'
import type { Pico } from '#app/platform/pico.ts'
import { ModelWorkspace } from './ledger-model.ts'
import { Random } from './random.ts'
import type { Faults, ModelRun } from './run-log.ts'
import { StripeModel } from './stripe-model.ts'
import { type Process, Turns } from './turns.ts'

/** Atto-dollars per token, odd on purpose: every amount has a fraction of a cent. */
export const book: PriceBook = {
  version: 1,
  workspaceId: null,
  currency: 'usd',
  effectiveFrom: new Date(0),
  effectiveUntil: null,
  meters: {},
  tiers: {
    frontier: { inputAtto: 6_130_000_000_007n, outputAtto: 30_700_000_000_001n },
    balanced: { inputAtto: 3_500_000_000_000n, outputAtto: 17_500_000_000_003n, cacheReadAtto: 350_000_000_001n },
  },
}
export const list = { inputAtto: 5_000_000_000_000n, outputAtto: 25_000_000_000_000n }
/** What others pay for the model that this provider gives away. */
export const paidElsewhere = { inputAtto: 1_000_000_000_003n, outputAtto: 2_000_000_000_001n }

/** How the workspaces of a run are charged: the pairs of the five presets. */
export const regimes = [
  { platform: 'tier', own: 'tier_margin', platformBp: 0, ownBp: 0, overage: 'stop' },
  { platform: 'markup', own: 'markup', platformBp: 10_000, ownBp: 500, overage: 'stop' },
  { platform: 'credits', own: 'flat_fee', platformBp: 0, ownBp: 0, overage: 'stop' },
  { platform: 'credits', own: 'pass_through', platformBp: 0, ownBp: 0, overage: 'bill' },
] as const
export type Regime = (typeof regimes)[number]

/** What a provider really did for a call: the truth that the ledger is held against. */
export interface Served {
  callId: string
  keySource: KeySource
  inputTokens: bigint
  outputTokens: bigint
  cacheReadTokens: bigint
  costPico: Pico
  /** When its own record can be read; null: never. */
  recordAt: number | null
  /** What of it the reply says. */
  says: 'all' | 'tokens' | 'nothing'
  refused: boolean
}

export interface Gateway extends Process {
  /** What it remembers of a workspace, right or not. */
  memory: Map<string, { keyEpoch: bigint; keyVersion: number | null }>
}

export class SimulatedWorld implements Faults {
  readonly random: Random
  readonly turns: Turns
  readonly stripe: StripeModel
  readonly workspaces: ModelWorkspace[] = []
  readonly keys = new Map<string, number | null>()
  readonly regimes = new Map<string, Regime>()
  readonly runs = new Map<string, ModelRun>()
  /** Runs in the order in which they were frozen: residues are a chain. */
  readonly chain = new Map<string, ModelRun[]>()
  readonly journal = new Map<string, Served>()
  readonly locked = new Set<string>()
  readonly meddled = new Set<string>()
  now = Date.UTC(2026, 0, 3, 12)
  databaseFaultRate = 0
  #serial = 0

  constructor(seed: number) {
    this.random = new Random(seed)
    this.turns = new Turns(this.random)
    this.turns.onTurn = () => {
      this.now += this.random.below(400)
    }
    this.stripe = new StripeModel(this.random, this.turns, () => this.now)
    const count = 1 + this.random.below(2)
    for (let n = 0; n < count; n += 1) {
      const workspace = new ModelWorkspace(`00000000-0000-4000-8000-00000000000${n}`)
      this.workspaces.push(workspace)
      this.regimes.set(workspace.id, this.random.pick(regimes))
      this.keys.set(workspace.id, this.random.chance(600) ? 1 : null)
    }
  }

  next(): 'not_done' | 'answer_lost' | null {
    if (!this.random.chance(this.databaseFaultRate)) return null
    return this.random.chance(500) ? 'not_done' : 'answer_lost'
  }

  name(prefix: string): string {
    this.#serial += 1
    return `${prefix}-${this.#serial}`
  }

  process(prefix: string): Process {
    return { id: this.name(prefix), alive: true }
  }

  gateway(): Gateway {
    return { ...this.process('gateway'), memory: new Map() }
  }

  regimeOf(workspace: ModelWorkspace): Regime {
    return this.regimes.get(workspace.id) as Regime
  }

  /** The provider answers a call: once, whatever becomes of the answer. */
  serve(callId: string, keySource: KeySource): Served {
    if (this.journal.has(callId)) throw new Error(`call ${callId} reached the provider twice`)
    const { random } = this
    const refused = random.chance(60)
    const [inputTokens, outputTokens] = refused
      ? [0n, 0n]
      : [BigInt(random.below(400_000)), BigInt(random.below(60_000))]
    const tokens = { inputTokens, outputTokens }
    const listed = priceTokens(list, tokens)
    const cost = random.chance(120)
      ? 0n
      : random.chance(40)
        ? listed * 9n
        : (listed * BigInt(random.below(1_500))) / 1_000n
    const served: Served = {
      callId,
      keySource,
      ...tokens,
      cacheReadTokens: inputTokens / BigInt(1 + random.below(5)),
      costPico: refused ? 0n : cost,
      recordAt: random.chance(700) ? this.now + random.below(4 * 3_600_000) : null,
      says: refused ? 'all' : random.chance(820) ? 'all' : random.chance(500) ? 'tokens' : 'nothing',
      refused,
    }
    this.journal.set(callId, served)
    return served
  }
}
