/** USD per token as decimal text, the way `GET /models` prints prices. A missing cache price means the input price. */
export interface ModelPricing {
  prompt: string
  completion: string
  input_cache_read?: string
  input_cache_write?: string
}

export interface SandboxModel {
  id: string
  name: string
  contextLength: number
  maxCompletionTokens: number
  pricing: ModelPricing
}

/** What the sandbox sells. Believable prices, but the sandbox's own: nothing outside tests and demos may rely on them. */
export const catalogue: readonly SandboxModel[] = [
  {
    id: 'anthropic/claude-opus-4.7',
    name: 'Anthropic: Claude Opus 4.7',
    contextLength: 1_000_000,
    maxCompletionTokens: 128_000,
    pricing: {
      prompt: '0.000005',
      completion: '0.000025',
      input_cache_read: '0.0000005',
      input_cache_write: '0.00000625',
    },
  },
  {
    id: 'anthropic/claude-sonnet-4.6',
    name: 'Anthropic: Claude Sonnet 4.6',
    contextLength: 1_000_000,
    maxCompletionTokens: 64_000,
    pricing: {
      prompt: '0.000003',
      completion: '0.000015',
      input_cache_read: '0.0000003',
      input_cache_write: '0.00000375',
    },
  },
  {
    id: 'anthropic/claude-haiku-4.5',
    name: 'Anthropic: Claude Haiku 4.5',
    contextLength: 200_000,
    maxCompletionTokens: 64_000,
    pricing: {
      prompt: '0.000001',
      completion: '0.000005',
      input_cache_read: '0.0000001',
      input_cache_write: '0.00000125',
    },
  },
  {
    id: 'openai/gpt-5.2',
    name: 'OpenAI: GPT-5.2',
    contextLength: 400_000,
    maxCompletionTokens: 128_000,
    pricing: { prompt: '0.00000175', completion: '0.000014', input_cache_read: '0.000000175' },
  },
  {
    id: 'openai/gpt-5-mini',
    name: 'OpenAI: GPT-5 Mini',
    contextLength: 400_000,
    maxCompletionTokens: 128_000,
    pricing: { prompt: '0.00000025', completion: '0.000002', input_cache_read: '0.000000025' },
  },
  {
    id: 'openai/gpt-oss-120b',
    name: 'OpenAI: gpt-oss-120b',
    contextLength: 131_072,
    maxCompletionTokens: 131_072,
    pricing: { prompt: '0.000000039', completion: '0.00000019' },
  },
  {
    id: 'google/gemini-2.5-pro',
    name: 'Google: Gemini 2.5 Pro',
    contextLength: 1_048_576,
    maxCompletionTokens: 65_536,
    pricing: {
      prompt: '0.00000125',
      completion: '0.00001',
      input_cache_read: '0.000000125',
      input_cache_write: '0.000000375',
    },
  },
  {
    id: 'google/gemini-2.5-flash',
    name: 'Google: Gemini 2.5 Flash',
    contextLength: 1_048_576,
    maxCompletionTokens: 65_535,
    pricing: { prompt: '0.0000003', completion: '0.0000025', input_cache_read: '0.00000003' },
  },
  {
    id: 'moonshotai/kimi-k2.6',
    name: 'MoonshotAI: Kimi K2.6',
    contextLength: 262_144,
    maxCompletionTokens: 262_144,
    pricing: { prompt: '0.00000057', completion: '0.0000024', input_cache_read: '0.000000095' },
  },
  {
    id: 'deepseek/deepseek-v4-flash',
    name: 'DeepSeek: DeepSeek V4 Flash',
    contextLength: 1_000_000,
    maxCompletionTokens: 131_072,
    pricing: { prompt: '0.00000014', completion: '0.00000028', input_cache_read: '0.000000028' },
  },
  {
    id: 'x-ai/grok-4.3',
    name: 'xAI: Grok 4.3',
    contextLength: 1_000_000,
    maxCompletionTokens: 131_072,
    pricing: { prompt: '0.00000125', completion: '0.0000025', input_cache_read: '0.0000002' },
  },
  {
    id: 'qwen/qwen3-coder:free',
    name: 'Qwen: Qwen3 Coder (free)',
    contextLength: 262_000,
    maxCompletionTokens: 262_000,
    pricing: { prompt: '0', completion: '0' },
  },
]

/** The catalogue row of an id; static and dynamic variants (`:nitro`, `:floor`) sell at the base row's price. */
export function findModel(id: string): SandboxModel | undefined {
  const exact = catalogue.find((model) => model.id === id)
  if (exact) return exact
  const base = id.split(':')[0]
  return catalogue.find((model) => model.id === base)
}

/** One row of `GET /api/v1/models` (providers §1.5). */
export function modelRow(model: SandboxModel) {
  return {
    id: model.id,
    canonical_slug: model.id.split(':')[0],
    name: model.name,
    created: 1_760_000_000,
    description: 'Sold by the sandbox.',
    context_length: model.contextLength,
    architecture: {
      modality: 'text->text',
      input_modalities: ['text'],
      output_modalities: ['text'],
      tokenizer: 'Other',
      instruct_type: null,
    },
    pricing: { ...model.pricing, request: '0', image: '0', web_search: '0', internal_reasoning: '0' },
    top_provider: {
      context_length: model.contextLength,
      max_completion_tokens: model.maxCompletionTokens,
      is_moderated: false,
    },
    per_request_limits: null,
    supported_parameters: ['max_tokens', 'temperature', 'tools', 'tool_choice', 'stop', 'seed'],
  }
}
