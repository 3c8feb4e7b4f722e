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
    id: 'anthropic/claude-opus-4.6',
    name: 'Anthropic: Claude Opus 4.6',
    contextLength: 1_000_000,
    maxCompletionTokens: 65_536,
    pricing: {
      prompt: '0.000005',
      completion: '0.000025',
      input_cache_read: '0.0000005',
      input_cache_write: '0.00000625',
    },
  },
  {
    id: 'openai/gpt-5.2',
    name: 'OpenAI: GPT-5.2',
    contextLength: 400_000,
    maxCompletionTokens: 65_536,
    pricing: { prompt: '0.00000175', completion: '0.000014', input_cache_read: '0.000000175' },
  },
  {
    id: 'google/gemini-3-pro',
    name: 'Google: Gemini 3 Pro',
    contextLength: 1_048_576,
    maxCompletionTokens: 65_536,
    pricing: {
      prompt: '0.000002',
      completion: '0.000012',
      input_cache_read: '0.0000002',
      input_cache_write: '0.000000375',
    },
  },
  {
    id: 'anthropic/claude-sonnet-4.6',
    name: 'Anthropic: Claude Sonnet 4.6',
    contextLength: 1_000_000,
    maxCompletionTokens: 65_536,
    pricing: {
      prompt: '0.000003',
      completion: '0.000015',
      input_cache_read: '0.0000003',
      input_cache_write: '0.00000375',
    },
  },
  {
    id: 'x-ai/grok-4.3',
    name: 'xAI: Grok 4.3',
    contextLength: 1_000_000,
    maxCompletionTokens: 65_536,
    pricing: { prompt: '0.00000125', completion: '0.0000025', input_cache_read: '0.0000002' },
  },
  {
    id: 'moonshotai/kimi-k2.6',
    name: 'MoonshotAI: Kimi K2.6',
    contextLength: 262_144,
    maxCompletionTokens: 65_536,
    pricing: { prompt: '0.00000095', completion: '0.000004', input_cache_read: '0.00000016' },
  },
  {
    id: 'mistralai/mistral-large-3',
    name: 'Mistral: Mistral Large 3',
    contextLength: 262_144,
    maxCompletionTokens: 65_536,
    pricing: { prompt: '0.0000005', completion: '0.0000015' },
  },
  {
    id: 'openai/gpt-5-mini',
    name: 'OpenAI: GPT-5 mini',
    contextLength: 400_000,
    maxCompletionTokens: 65_536,
    pricing: { prompt: '0.00000025', completion: '0.000002', input_cache_read: '0.000000025' },
  },
  {
    id: 'google/gemini-3-flash',
    name: 'Google: Gemini 3 Flash',
    contextLength: 1_048_576,
    maxCompletionTokens: 65_536,
    pricing: { prompt: '0.0000005', completion: '0.000003', input_cache_read: '0.00000005' },
  },
  {
    id: 'deepseek/deepseek-v4-flash',
    name: 'DeepSeek: DeepSeek V4 Flash',
    contextLength: 1_000_000,
    maxCompletionTokens: 65_536,
    pricing: { prompt: '0.00000014', completion: '0.00000028', input_cache_read: '0.000000028' },
  },
  {
    id: 'qwen/qwen3.5-plus',
    name: 'Qwen: Qwen3.5 Plus',
    contextLength: 1_000_000,
    maxCompletionTokens: 65_536,
    pricing: { prompt: '0.0000004', completion: '0.0000024' },
  },
  {
    id: 'meta-llama/llama-4-maverick',
    name: 'Meta: Llama 4 Maverick',
    contextLength: 1_048_576,
    maxCompletionTokens: 65_536,
    pricing: { prompt: '0.00000015', completion: '0.0000006' },
  },
]

/** Sold at `/embeddings` only, and not among the models of `GET /models`, which writes text. */
const embeddingModels: readonly SandboxModel[] = [
  {
    id: 'openai/text-embedding-3-small',
    name: 'OpenAI: Text Embedding 3 Small',
    contextLength: 8_192,
    maxCompletionTokens: 0,
    pricing: { prompt: '0.00000002', completion: '0' },
  },
]

export const findEmbeddingModel = (id: string): SandboxModel | undefined =>
  embeddingModels.find((model) => model.id === id)

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
