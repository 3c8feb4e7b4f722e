/** What gateways, sweepers and reconcilers do with calls, over the database as a state machine. Prices are the product's own. */
import {
  type CallRecord,
  type Dispatch,
  type MarkupBasis,
  noBasis,
  type Outcome,
  settleCall,
} from '#app/domain/ledger/ledger.ts'
import {
  estimatedUsage,
  nothingKnown,
  nothingUsed,
  type UsageOutcome,
  usageOutcome,
} from '#app/domain/ledger/usage-outcome.ts'
import { chargePico, priceTokens, tierPricePico } from '#app/domain/pricing/pricing.ts'
import { clampRawCost } from '#app/domain/providers/usage.ts'
import type { ModelWorkspace } from './ledger-model.ts'
import * as ledger from './ledger-model.ts'
import { DatabaseAway, transact } from './run-log.ts'
import type { Process } from './turns.ts'
import { book, type Gateway, list, paidElsewhere, type Served, type SimulatedWorld } from './world.ts'

const promptEstimate = 1_000

function dispatchOf(
  world: SimulatedWorld,
  workspace: ModelWorkspace,
  keyVersion: number | null,
  beyondCredits: boolean,
): Dispatch {
  const regime = world.regimeOf(workspace)
  const own = keyVersion !== null
  const chargeMode = own ? regime.own : regime.platform === 'credits' && beyondCredits ? 'tier' : regime.platform
  const markupBp = chargeMode === 'markup' ? (own ? regime.ownBp : regime.platformBp) : null
  return {
    workspaceId: workspace.id,
    id: world.name('call'),
    dispatchedAt: new Date(world.now),
    tokenId: null,
    surface: 'agent_run',
    provider: 'openrouter',
    model: 'a/model',
    upstreamModel: null,
    endpoint: 'chat',
    fallbackOf: null,
    tier: world.random.chance(500) ? 'frontier' : 'balanced',
    keySource: own ? 'workspace' : 'platform',
    keyId: own ? 'key' : null,
    keyVersion,
    chargeMode,
    markupBp,
    priceBookVersion: 1,
    streamed: true,
  }
}

const tokensOf = ({ inputTokens, outputTokens, cacheReadTokens }: Served) => ({
  input: Number(inputTokens),
  output: Number(outputTokens),
  cacheRead: Number(cacheReadTokens),
  cacheWrite: 0,
  reasoning: 0,
})

const reported = (served: Served, usageSource: 'provider' | 'generation', withCost: boolean): UsageOutcome =>
  usageOutcome({
    tokens: tokensOf(served),
    usageSource,
    costPico: withCost ? served.costPico : null,
    costSource: usageSource,
    list,
  })

/** What ledger/markup-basis decides, without a database to look prices up in. */
export function basisOf(dispatch: Pick<Dispatch, 'chargeMode'>, usage: UsageOutcome): MarkupBasis {
  const { rawCostPico, inputTokens, outputTokens } = usage
  if (dispatch.chargeMode !== 'markup' || rawCostPico === null) return noBasis
  if (rawCostPico > 0n || !(inputTokens || outputTokens)) return { basisPico: rawCostPico, basisSource: 'raw_cost' }
  const basisPico = priceTokens(paidElsewhere, { inputTokens: inputTokens ?? 0n, outputTokens: outputTokens ?? 0n })
  return { basisPico, basisSource: 'lowest_paid_rate' }
}

function toRecord(
  dispatch: Dispatch,
  usage: UsageOutcome,
  status: Outcome['status'],
  origin: Outcome['origin'],
): CallRecord {
  const said = {
    httpStatus: null,
    errorCode: null,
    responseModel: null,
    latencyMs: null,
    firstByteMs: null,
    upstreamId: null,
  }
  return settleCall(dispatch, { origin, status, ...said, ...usage }, book, basisOf(dispatch, usage))
}

/** Admits a call and writes its attempt. @returns null where it is refused or the database is away: nothing may be sent */
async function openCall(world: SimulatedWorld, gateway: Gateway, workspace: ModelWorkspace): Promise<Dispatch | null> {
  let beyondCredits = false
  for (let decision = 1; decision <= 5; decision += 1) {
    if (decision > 1 || !gateway.memory.has(workspace.id)) {
      const read = await transact(world.turns, gateway, world, () => ({
        keyEpoch: workspace.keyEpoch,
        keyVersion: world.keys.get(workspace.id) ?? null,
      }))
      gateway.memory.set(workspace.id, read)
    }
    const known = gateway.memory.get(workspace.id) as { keyEpoch: bigint; keyVersion: number | null }
    const dispatch = dispatchOf(world, workspace, known.keyVersion, beyondCredits)
    const mostTokens = { inputTokens: BigInt(promptEstimate), outputTokens: 4_096n }
    const mostChargePico = tierPricePico(book, dispatch.tier as 'frontier', mostTokens)
    const attempt = { dispatch, processId: gateway.id, openedAt: world.now, keyEpoch: known.keyEpoch, mostChargePico }
    const opened = await transact(world.turns, gateway, world, () => {
      const answer = ledger.openAttempt(workspace, attempt, world.now)
      if (answer === 'opened' && (world.keys.get(workspace.id) ?? null) !== dispatch.keyVersion)
        throw new Error(`call ${dispatch.id} was opened under a key that the workspace no longer has`)
      return answer
    })
    if (opened === 'opened') return dispatch
    if (opened === 'credits' && world.regimeOf(workspace).overage === 'stop') return null
    if (opened === 'credits') beyondCredits = true
  }
  return null
}

/** A call through a gateway, as the gateway plays it: attempt, provider, ledger, answer. */
export async function call(world: SimulatedWorld, gateway: Gateway, workspace: ModelWorkspace): Promise<void> {
  let dispatch: Dispatch | null
  try {
    dispatch = await openCall(world, gateway, workspace)
  } catch (error) {
    if (error instanceof DatabaseAway) return
    throw error
  }
  if (!dispatch) return
  await world.turns.turn(gateway)
  const served = world.serve(dispatch.id, dispatch.keySource)
  await world.turns.turn(gateway)
  const usage = served.refused
    ? nothingUsed
    : served.says === 'nothing'
      ? nothingKnown
      : reported(served, 'provider', served.says === 'all')
  const record = toRecord(dispatch, usage, served.refused ? 'rejected_upstream' : 'ok', 'gateway')
  await settle(world, gateway, workspace, record)
}

async function settle(
  world: SimulatedWorld,
  process: Process,
  workspace: ModelWorkspace,
  record: CallRecord,
): Promise<void> {
  for (let attempt = 0; attempt < 4; attempt += 1) {
    try {
      await transact(world.turns, process, world, () => ledger.settleCall(workspace, record, world.now))
      return
    } catch (error) {
      if (!(error instanceof DatabaseAway)) throw error
    }
  }
}

const minute = 60_000

/** The provider's own record of a call, as a lookup finds it. */
function lookUp(world: SimulatedWorld, callId: string): Served | 'missing' | 'unknown' {
  const served = world.journal.get(callId)
  if (!served || served.refused) return 'unknown'
  return served.recordAt !== null && served.recordAt <= world.now ? served : 'missing'
}

/** Settles what dead gateways left, as ledger/sweep-attempts does. */
export async function sweep(
  world: SimulatedWorld,
  worker: Process,
  workspace: ModelWorkspace,
  living: ReadonlySet<string>,
): Promise<void> {
  for (const attempt of [...workspace.attempts.values()]) {
    const age = world.now - attempt.openedAt
    if (living.has(attempt.processId) && age < 20 * minute) continue
    await world.turns.turn(worker)
    const found = lookUp(world, attempt.dispatch.id)
    if (found === 'missing' && age < 15 * minute) continue
    if (found === 'unknown' && age < 20 * minute) continue
    const usage =
      typeof found === 'object'
        ? reported(found, 'generation', true)
        : estimatedUsage({ promptTokensEstimate: promptEstimate, relayedBytes: 0, streamed: true })
    await settle(world, worker, workspace, toRecord(attempt.dispatch, usage, 'interrupted', 'sweeper'))
  }
}

/** Asks again about calls without a cost, as ledger/reconcile-held-calls does. */
export async function reconcile(world: SimulatedWorld, worker: Process, workspace: ModelWorkspace): Promise<void> {
  const held = [...workspace.calls.values()].filter(
    (one) => one.chargePico === null && !workspace.corrections.has(one.id),
  )
  for (const one of held) {
    await world.turns.turn(worker)
    const found = lookUp(world, one.id)
    if (typeof found !== 'object') continue
    const { inputTokens, outputTokens, cacheReadTokens, costPico } = found
    const counts = { inputTokens, outputTokens }
    const rawCostPico = clampRawCost(costPico, priceTokens(list, counts)).costPico
    const tierPrice = tierPricePico(book, one.tier as 'frontier', { ...counts, cacheReadTokens })
    const basis = basisOf(one, { ...reported(found, 'generation', true), rawCostPico })
    const charge = chargePico({ ...one, tierPricePico: tierPrice, rawCostPico, ...basis })
    if (charge === null) continue
    const correction = {
      ...counts,
      rawCostPico,
      tierPricePico: tierPrice,
      basisPico: basis.basisPico,
      chargePico: charge,
    }
    try {
      await transact(world.turns, worker, world, () =>
        ledger.correctHeldCall(workspace, one.id, { ...correction, reason: 'cost_resolved' }),
      )
    } catch (error) {
      if (!(error instanceof DatabaseAway)) throw error
    }
  }
}
