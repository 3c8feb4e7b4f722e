import type { Effort, Reasoning } from '../chat-request.ts'
import { claudeThinking } from '../claude-models.ts'
import { compact, type Json } from '../json-object.ts'
import { refuse } from '../refuse.ts'

const three: Partial<Record<Effort, string>> = {
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
}

function claude(model: string, reasoning: Reasoning, maxTokens: number): Json {
  const { thinking, effort } = claudeThinking(model, reasoning, maxTokens)
  // Bedrock checks requests against its own copy of Claude's schema, which does not know how thinking is to be shown.
  const { display: _display, ...plain } = thinking ?? {}
  return compact({
    thinking: thinking ? plain : null,
    output_config: effort === undefined ? null : { effort },
  })
}

/**
 * Reasoning, which Converse leaves to each family of models: members of `additionalModelRequestFields`.
 * @throws DialectRefusal where the family has none, or no such effort
 */
export function reasoningFields(model: string, reasoning: Reasoning | null, maxTokens: number): Json {
  if (reasoning === null) return {}
  if (model.includes('claude')) return claude(model, reasoning, maxTokens)
  if (reasoning.budget !== null) refuse('reasoning.max_tokens', 'is not accepted by this model.')
  if (reasoning.summary !== null) refuse('reasoning.summary', 'is not accepted by this model.')
  const none = reasoning.effort === 'none'
  const effort = three[reasoning.effort ?? 'medium']
  const level = () => effort ?? refuse('reasoning_effort', 'must be low, medium or high for this model.')
  if (model.includes('openai.gpt-oss')) return { reasoning_effort: level() }
  if (model.includes('openai.')) return { reasoning: { effort: reasoning.effort } }
  if (model.includes('amazon.nova-2'))
    return { reasoningConfig: none ? { type: 'disabled' } : { type: 'enabled', maxReasoningEffort: level() } }
  return none ? {} : refuse('reasoning_effort', 'is not accepted for this model on Bedrock.')
}
