import type { Effort, Reasoning } from './chat-request.ts'
import type { Json } from './json-object.ts'
import { refuse } from './refuse.ts'

/** Claude models that cannot think at all. */
const unthinking = /claude-(?:instant|v?2|3-(?:haiku|sonnet|opus|5))/

/** Claude models that think within a budget of tokens. All later ones decide themselves, guided by an effort. */
const budgeted = /claude-(?:3-7|(?:opus|sonnet|haiku)-4(?:$|@|-(?:[015](?!\d)|\d{8})))/

/** The part of all output that an effort may spend on thinking, where the provider wants tokens. */
const share: Record<Exclude<Effort, 'none'>, number> = {
  minimal: 0.1,
  low: 0.2,
  medium: 0.5,
  high: 0.8,
  xhigh: 0.95,
  max: 0.95,
}

/** The smallest budget that the provider takes, in tokens. */
const leastBudget = 1024

/**
 * What is sent as `max_tokens` where the caller left it out and the provider wants one: what the model can write at most,
 * or 32,000 tokens where that is more.
 */
export function defaultMaxTokens(model: string): number {
  if (!unthinking.test(model)) return 32_000
  return model.includes('claude-3-5') ? 8192 : 4096
}

/** The members `thinking` and `output_config` of a request; empty where nothing need be said. */
export interface ClaudeThinking {
  thinking?: Json
  effort?: string
}

function budgetOf(reasoning: Reasoning, maxTokens: number): number {
  if (reasoning.budget !== null) return reasoning.budget
  const effort = reasoning.effort ?? 'medium'
  if (maxTokens <= leastBudget)
    refuse('reasoning_effort', `needs 'max_completion_tokens' above ${leastBudget} for this model.`)
  return Math.max(leastBudget, Math.floor(maxTokens * share[effort === 'none' ? 'minimal' : effort]))
}

/**
 * Reasoning as a Claude model takes it. Whether it may be combined with the other parameters is for the provider to say.
 * @throws DialectRefusal where this model has no such thing
 */
export function claudeThinking(model: string, reasoning: Reasoning | null, maxTokens: number): ClaudeThinking {
  if (reasoning === null) return {}
  if (reasoning.summary !== null && reasoning.summary !== 'auto') refuse('reasoning.summary', "must be 'auto'.")
  const off = reasoning.effort === 'none'
  if (unthinking.test(model)) return off ? {} : refuse('reasoning_effort', 'is not accepted by this model.')
  if (budgeted.test(model))
    return off ? {} : { thinking: { type: 'enabled', budget_tokens: budgetOf(reasoning, maxTokens) } }
  if (off) return { thinking: { type: 'disabled' } }
  if (reasoning.budget !== null) refuse('reasoning.max_tokens', 'is not accepted by this model; it takes an effort.')
  const effort = reasoning.effort === 'minimal' ? 'low' : reasoning.effort
  return { thinking: { type: 'adaptive', display: 'summarized' }, ...(effort === null ? {} : { effort }) }
}
