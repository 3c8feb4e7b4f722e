import { LosslessNumber, stringify } from 'lossless-json'
import type { Reply, Tokens } from './completion.ts'
import type { Bill } from './usage.ts'

/** A finished generation as `GET /generation` tells it. Costs are decimal texts in USD. */
export interface Generation {
  id: string
  account: string
  model: string
  tokens: Tokens
  bill: Bill
  streamed: boolean
  cancelled: boolean
  finish: string
  startedAt: number
  endedAt: number
  /** Before this moment (epoch ms) the record is not there yet. */
  visibleAt: number
}

export function recordGeneration(
  reply: Pick<Reply, 'id' | 'model' | 'finish'>,
  outcome: Pick<Generation, 'account' | 'tokens' | 'bill' | 'streamed' | 'cancelled' | 'startedAt'>,
  delayMs: number,
): Generation {
  const endedAt = Date.now()
  return {
    id: reply.id,
    model: reply.model,
    finish: outcome.cancelled ? 'cancelled' : reply.finish,
    endedAt,
    visibleAt: endedAt + delayMs,
    ...outcome,
  }
}

/** The 200 body of `GET /generation` (providers §1.7), costs digit for digit. */
export function generationJson(record: Generation): string {
  const { tokens, bill } = record
  return stringify({
    data: {
      id: record.id,
      upstream_id: `up-${record.id.slice(4)}`,
      total_cost: new LosslessNumber(bill.total),
      usage: new LosslessNumber(bill.total),
      upstream_inference_cost: bill.upstream === null ? null : new LosslessNumber(bill.upstream),
      is_byok: bill.upstream !== null,
      cache_discount: null,
      created_at: new Date(record.startedAt).toISOString(),
      model: record.model,
      app_id: null,
      streamed: record.streamed,
      cancelled: record.cancelled,
      provider_name: 'Sandbox',
      latency: record.endedAt - record.startedAt,
      moderation_latency: null,
      generation_time: record.endedAt - record.startedAt,
      finish_reason: record.finish,
      native_finish_reason: record.finish,
      tokens_prompt: tokens.input,
      tokens_completion: tokens.output,
      native_tokens_prompt: tokens.input,
      native_tokens_completion: tokens.output,
      native_tokens_reasoning: tokens.reasoning,
      native_tokens_cached: tokens.cached,
      native_tokens_completion_images: 0,
      num_media_prompt: null,
      num_media_completion: null,
      num_search_results: null,
      origin: '',
      api_type: 'completions',
      external_user: null,
      provider_responses: [],
    },
  }) as string
}
