import type { ModelRow } from '#app/domain/pricing/queries.server.ts'
import type { Pico } from '#app/platform/pico.ts'
import type { MostOf } from './most-of-call.ts'
import { outputSetAside } from './most-of-call.ts'

/** What there is to set aside for a call. Amounts are 1e-12 of what the workspace is billed in. */
export interface SpendRoom {
  /** Credits that are free; null where the call draws none. */
  creditsPico: Pico | null
  /** Of each hard budget that counts the call: what is neither spent nor reserved, and whether the provider's bill counts too. */
  budgets: { leftPico: Pico; countsCost: boolean }[]
}

/** An answer that is cut off sooner than this helps nobody, in tokens: the call is refused instead. */
const smallestAnswer = 1_024

/** Of what there is, a call that names no limit takes at most this part beyond its first 4,096 tokens of output. */
const largestShare = 10n

/** Tokens that providers put around a conversation, whatever its length: templates of the chat and of its tools. */
const framing = 1_024

/**
 * The longest answer of a model, in tokens: what its catalogue row says where the provider is the one that says so, else what
 * every chat model gives. The context holds the input too, which may be twice what it is estimated at, and a provider refuses a
 * call whose input and limit together are more than that: many models list an answer as long as their context.
 */
export function longestAnswer(
  hosted: Pick<ModelRow, 'maxOutputTokens' | 'contextLength'> | null,
  isListedHere: boolean,
  inputTokens: number,
): number {
  const longest = (isListedHere ? hosted?.maxOutputTokens : null) ?? outputSetAside
  const { contextLength } = hosted ?? {}
  if (!contextLength) return longest
  return Math.min(longest, Math.max(smallestAnswer, contextLength - 2 * inputTokens - framing))
}

export interface LimitQuestion {
  /** Tokens. */
  longest: number
  room: SpendRoom
  /** What the call may come to with a limit of so many tokens per answer. */
  mostAt: (limit: number) => MostOf
  /** The smallest limit that is given, in tokens; what credits do not cover beyond it is billed where the plan says so. */
  smallest: number
}

/**
 * The smallest limit, in tokens: a plan that bills what goes beyond its credits bills the call rather than cut it short, and what
 * a model thinks counts as its answer, so `thinking` tokens come on top: providers refuse a limit that leaves no room beside them.
 */
export const smallestLimit = (billsOverage: boolean, thinking: number): number =>
  Math.max(billsOverage ? outputSetAside : 0, smallestAnswer + thinking)

/**
 * The output limit that goes out with a call that names none, so that it cannot come to more than is held for it: the model's
 * longest answer, or what there is room for. Of several calls that run at once the first does not take all there is.
 * @returns tokens per answer; null where nothing is set aside for its output. The smallest is given where there is room for
 * nothing: the call is refused then
 */
export function chooseOutputLimit({ longest, room, mostAt, smallest }: LimitQuestion): number | null {
  const least = Math.min(smallest, longest)
  if (room.creditsPico === null && room.budgets.length === 0) return null
  const takes = ({ chargePico, costPico }: MostOf, countsCost: boolean) => chargePico + (countsCost ? costPico : 0n)
  const fits = (limit: number): boolean => {
    const most = mostAt(limit)
    const share = limit > outputSetAside ? largestShare : 1n
    if (room.creditsPico !== null && most.chargePico * share > room.creditsPico) return false
    return room.budgets.every(({ leftPico, countsCost }) => takes(most, countsCost) * share <= leftPico)
  }
  const [none, all] = [mostAt(least), mostAt(longest + 1)]
  if (none.chargePico === all.chargePico && none.costPico === all.costPico) return null
  if (fits(longest)) return longest
  let [low, high] = [least, longest]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (fits(middle)) low = middle
    else high = middle
  }
  return low
}
