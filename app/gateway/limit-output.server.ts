import { budgetRooms } from '#app/domain/budgets/budget-rooms.server.ts'
import { availableCredits } from '#app/domain/credits/available-credits.server.ts'
import type { Dispatch } from '#app/domain/ledger/ledger.ts'
import type { PriceBook } from '#app/domain/pricing/pricing.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import type { Pico } from '#app/platform/pico.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Admission } from './admission.server.ts'
import { heldInputTokens } from './held-input.ts'
import type { InferenceRequest } from './inference-request.ts'
import { limitNames, type MostOf, mostOfCall, namedLimit, renamedLimit, thinkingTokens } from './most-of-call.ts'
import { chooseOutputLimit, longestAnswer, type SpendRoom, smallestLimit } from './output-limit.ts'
import { type CallRoute, platformProvider } from './route.server.ts'

/** What is set aside for a call, and the limit that keeps it within that. */
export interface SetAside {
  most: MostOf | null
  /** Tokens per answer that the gateway adds; null: the request names a limit itself, or needs none. */
  outputLimit: number | null
  /** Tokens per answer to be written into the body under the name that the provider knows; null: it stays as it is. */
  bodyLimit: number | null
  /** With less room it would go out with a smaller limit: a refusal may be tried again. */
  canShrink: boolean
  /** It is in the database now, or was refused. */
  isWritten: () => void
}

const nothing: SetAside = { most: null, outputLimit: null, bodyLimit: null, canShrink: false, isWritten: () => {} }

/** What calls that were just given a limit are about to set aside, by workspace: calls that come at once see each other by it. */
const chosen = () => singleton('gateway:chosen-limits', () => new Map<string, Set<{ pico: Pico; at: number }>>())
/** A call that failed in between is forgotten then, in ms. */
const chosenAgeMs = 5_000

function chosenBefore(workspaceId: string): Pico {
  const held = chosen()
  const others = held.get(workspaceId) ?? new Set()
  for (const one of others) if (performance.now() - one.at > chosenAgeMs) others.delete(one)
  if (others.size === 0) held.delete(workspaceId)
  return [...others].reduce((sum, { pico }) => sum + pico, 0n)
}

/** @returns takes it out again */
function choose(workspaceId: string, { chargePico, costPico }: MostOf): () => void {
  const held = chosen()
  const one = { pico: chargePico > costPico ? chargePico : costPico, at: performance.now() }
  const others = held.get(workspaceId) ?? new Set()
  held.set(workspaceId, others.add(one))
  return () => {
    others.delete(one)
    if (others.size === 0 && held.get(workspaceId) === others) held.delete(workspaceId)
  }
}

async function roomFor(dispatch: Dispatch): Promise<SpendRoom> {
  const { workspaceId, tokenId, keyId, chargeMode } = dispatch
  const charges = chargeMode !== 'pass_through' && chargeMode !== 'flat_fee'
  const [creditsPico, budgets] = await Promise.all([
    chargeMode === 'credits' ? availableCredits(workspaceId) : null,
    budgetRooms({ workspaceId, tokenId, keyId, charges }),
  ])
  return { creditsPico, budgets }
}

const less = ({ creditsPico, budgets }: SpendRoom, pico: Pico): SpendRoom => ({
  creditsPico: creditsPico === null ? null : creditsPico - pico,
  budgets: budgets.map(({ leftPico, countsCost }) => ({ leftPico: leftPico - pico, countsCost })),
})

/** Whether the catalogue's longest answer holds where the call goes: at the platform's provider, or at the model's own author. */
function isListedAt({ provider, hosted }: CallRoute): boolean {
  if (!hosted) return false
  return provider === platformProvider || providerOf(provider).authors.includes(hosted.id.split('/')[0] ?? '')
}

/**
 * What credits and hard budgets set aside for a call, and the output limit that goes out with one that names none: a reply can
 * then not come to more than is held (docs/credits-and-budgets.md). Only such a call asks the database for it.
 */
export async function setAsideFor(
  { hardBudgets, plan }: Admission,
  dispatch: Dispatch,
  request: InferenceRequest,
  route: CallRoute,
  book: PriceBook,
): Promise<SetAside> {
  if (!hardBudgets && dispatch.chargeMode !== 'credits') return nothing
  const inputTokens = heldInputTokens(request)
  const question = { dispatch, request, book, list: route.hosted?.list ?? null, inputTokens }
  if (limitNames[request.endpoint].length === 0) return { ...nothing, most: mostOfCall(question) }
  if (namedLimit(request) !== null)
    return { ...nothing, most: mostOfCall(question), bodyLimit: renamedLimit(request, providerOf(route.provider)) }
  const mostAt = (outputLimit: number) => mostOfCall({ ...question, outputLimit })
  const billsOverage = dispatch.chargeMode === 'credits' && plan.creditOverage === 'bill'
  const thinking = thinkingTokens(request)
  const smallest = smallestLimit(billsOverage, thinking)
  const answer = longestAnswer(route.hosted, isListedAt(route), inputTokens)
  const longest = thinking < answer ? answer : smallest // whoever names a budget knows the model better than a guess
  const found = await roomFor(dispatch)
  // From here to the choice nothing waits: whoever chooses next sees it.
  const room = less(found, chosenBefore(dispatch.workspaceId))
  const outputLimit = chooseOutputLimit({ longest, room, mostAt, smallest })
  const most = mostOfCall({ ...question, outputLimit })
  const isWritten = outputLimit === null ? nothing.isWritten : choose(dispatch.workspaceId, most)
  return {
    most,
    outputLimit,
    bodyLimit: outputLimit,
    canShrink: outputLimit !== null && outputLimit > smallest,
    isWritten,
  }
}
