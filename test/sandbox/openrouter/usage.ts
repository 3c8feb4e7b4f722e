import { LosslessNumber, stringify } from 'lossless-json'
import type { ModelPricing } from './catalogue.ts'
import type { Tokens } from './completion.ts'
import { addDecimals, timesTokens } from './decimal.ts'
import type { Scenario } from './scenario.ts'

/** What a generation cost, as decimal texts. `total` is what the account is charged. */
export interface Bill {
  total: string
  prompt: string
  completion: string
  /** What a provider of the account's own was paid; null unless the account has its own key there. */
  upstream: string | null
}

/** The exact price of the tokens: cache reads and writes are part of the input and priced apart. */
function priceTokens(pricing: ModelPricing, tokens: Tokens): { prompt: string; completion: string } {
  const plain = Math.max(0, tokens.input - tokens.cached - tokens.cacheWrite)
  return {
    prompt: addDecimals(
      timesTokens(pricing.prompt, plain),
      timesTokens(pricing.input_cache_read ?? pricing.prompt, tokens.cached),
      timesTokens(pricing.input_cache_write ?? pricing.prompt, tokens.cacheWrite),
    ),
    completion: timesTokens(pricing.completion, tokens.output),
  }
}

export function billFor(pricing: ModelPricing, tokens: Tokens, scenario: Scenario): Bill {
  const { prompt, completion } = priceTokens(pricing, tokens)
  const upstream = scenario.byokUpstream ?? null
  const listed = addDecimals(prompt, completion)
  return { total: upstream === null ? listed : (scenario.byokFee ?? '0'), prompt, completion, upstream }
}

/** Tokens as the scenario makes the usage block say them. */
export const saidTokens = (tokens: Tokens, scenario: Scenario): Tokens =>
  scenario.usage === 'zero' ? { input: 0, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 } : tokens

/** The usage block as JSON text, costs written digit for digit (providers §1.6). */
export function usageJson(tokens: Tokens, bill: Bill, scenario: Scenario): string {
  if (scenario.usageText !== undefined) return scenario.usageText
  const text = stringify({
    prompt_tokens: tokens.input,
    completion_tokens: tokens.output,
    total_tokens: tokens.input + tokens.output,
    cost: new LosslessNumber('98765'),
    is_byok: bill.upstream !== null,
    prompt_tokens_details: {
      cached_tokens: tokens.cached,
      cache_write_tokens: tokens.cacheWrite,
      audio_tokens: 0,
      video_tokens: 0,
    },
    cost_details: {
      upstream_inference_cost: bill.upstream === null ? null : new LosslessNumber(bill.upstream),
      upstream_inference_prompt_cost: new LosslessNumber(bill.prompt),
      upstream_inference_completions_cost: new LosslessNumber(bill.completion),
    },
    completion_tokens_details: { reasoning_tokens: tokens.reasoning, image_tokens: 0 },
  }) as string
  return text.replace('"cost":98765', `"cost":${scenario.cost ?? bill.total}`)
}
