import type { ProviderId } from '#app/domain/providers/provider.ts'
import { rawJson } from './raw-json.ts'

/** A model that the sandbox serves at one provider. Prices are USD per token, decimal text: the sandbox's own. */
export interface SoldModel {
  id: string
  input: string
  output: string
  context: number
  kind?: 'chat' | 'embedding' | 'rerank'
  /** In the list, and answers 404 to calls: some providers' lists have such rows. */
  retired?: true
}

const model = (id: string, input = '0.0000005', output = '0.000002', more: Partial<SoldModel> = {}): SoldModel => ({
  id,
  input,
  output,
  context: 262_144,
  ...more,
})
const embedding = (id: string) => model(id, '0.00000002', '0', { kind: 'embedding', context: 8_192 })

/** What each provider sells, in its own spelling. Azure's are deployments. */
export const catalogues: Record<ProviderId, readonly SoldModel[]> = {
  crof: [
    model('kimi-k2.6', '0.00000055', '0.0000023'),
    model('deepseek-v4-flash', '0.00000012', '0.00000024'),
    model('deepseek-v4-pro-lightning', '0.000002', '0.000008'),
    model('qwen3.5-plus'),
    embedding('qwen3-embed-8b'),
  ],
  openai: [model('gpt-5.2'), model('gpt-5-mini'), model('o3'), embedding('text-embedding-3-small')],
  'openai-responses': [model('gpt-5.2'), model('gpt-5-mini'), model('o3')],
  anthropic: [model('claude-opus-4-6'), model('claude-sonnet-4-6')],
  google: [model('gemini-3-pro'), model('gemini-3-flash'), embedding('gemini-embedding-001')],
  xai: [model('grok-4.3')],
  deepseek: [model('deepseek-v4-flash'), model('deepseek-v4-pro')],
  bedrock: [
    model('anthropic.claude-sonnet-4-6-v1:0'),
    model('us.anthropic.claude-sonnet-4-6-v1:0'),
    model('amazon.nova-lite-v1:0'),
    model('mistral.mistral-large-3-v1:0'),
  ],
  azure: [model('prod-gpt5'), model('gpt-5-mini'), embedding('embed')],
  'azure-responses': [model('prod-gpt5'), model('gpt-5-mini')],
  groq: [model('openai/gpt-oss-120b'), model('meta-llama/llama-4-maverick')],
  fireworks: [model('accounts/fireworks/models/kimi-k2p6'), embedding('accounts/fireworks/models/nomic-embed')],
  together: [model('moonshotai/Kimi-K2.6'), model('meta-llama/Llama-4-Maverick'), embedding('BAAI/bge-large-en')],
  sambanova: [
    model('Retired-Model-1B', '0', '0', { retired: true }),
    model('DeepSeek-V4-Flash'),
    model('Meta-Llama-4-Maverick'),
    embedding('E5-Mistral-7B'),
  ],
  vercel: [model('moonshotai/kimi-k2.6'), model('openai/gpt-5-mini'), model('alibaba/qwen3.5-plus')],
  novita: [model('moonshotai/kimi-k2.6'), model('qwen/qwen3.5-plus'), embedding('baai/bge-m3')],
  chutes: [model('moonshotai/Kimi-K2.6-TEE'), model('Qwen/Qwen3.5-Plus')],
  akash: [model('MiniMaxAI/MiniMax-M2.5'), model('moonshotai/Kimi-K2.6')],
  nvidia: [model('moonshotai/kimi-k2.6'), model('meta/llama-4-maverick'), embedding('nvidia/nv-embed-v2')],
  hyperbolic: [model('Qwen/Qwen3.5-Plus'), model('meta-llama/Llama-4-Maverick')],
  morpheus: [model('llama-4-maverick'), model('qwen3.5-plus'), embedding('nomic-embed-text')],
  openrouter: [
    model('openai/gpt-5-mini', '0.00000025', '0.000002'),
    model('moonshotai/kimi-k2.6', '0.00000095', '0.000004'),
    model('anthropic/claude-sonnet-4.6', '0.000003', '0.000015'),
    embedding('openai/text-embedding-3-small'),
    model('cohere/rerank-v3.5', '0', '0', { kind: 'rerank' }),
  ],
}

export const findSold = (provider: ProviderId, id: string): SoldModel | undefined =>
  catalogues[provider].find((sold) => sold.id === (provider === 'fireworks' ? id.split('#')[0] : id) && !sold.retired)

/** A USD-per-token text times 10^`places`, without floating point. */
function shifted(text: string, places: number): string {
  const [whole = '', fraction = ''] = text.split('.')
  const digits = `${whole}${fraction.padEnd(places, '0')}`
  const at = digits.length - Math.max(0, fraction.length - places)
  const plain = `${digits.slice(0, at).replace(/^0+(?=\d)/, '')}${at < digits.length ? `.${digits.slice(at)}` : ''}`
  return plain.includes('.') ? plain.replace(/\.?0+$/, '') : plain
}

/** A JSON number with exactly these digits. */
const bare = rawJson
const perMillion = (text: string) => shifted(text, 6)

type Row = Record<string, unknown>
const plainRow = (provider: ProviderId, { id, context }: SoldModel): Row => ({
  id,
  object: 'model',
  created: 1_760_000_000,
  owned_by: provider,
  context_length: context,
})

/** Prices as each provider lists them (providers §3.2). */
const priced: Partial<Record<ProviderId, (sold: SoldModel) => Row>> = {
  openrouter: ({ input, output }) => ({ pricing: { prompt: input, completion: output, request: '0' } }),
  crof: ({ input, output }) => ({ pricing: { prompt: perMillion(input), completion: perMillion(output) } }),
  chutes: ({ input, output }) => ({
    pricing: { prompt: bare(perMillion(input)), completion: bare(perMillion(output)), input_cache_read: bare('0.05') },
  }),
  vercel: ({ input, output }) => ({ pricing: { input, output, input_cache_read: '0.0000001' } }),
  novita: ({ input, output }) => ({
    input_token_price_per_m: bare(shifted(input, 10)),
    output_token_price_per_m: bare(shifted(output, 10)),
  }),
  akash: ({ input, output }) => ({ pricing: { input, output, request: '0' } }),
  together: ({ input, output }) => ({
    pricing: { hourly: 0, input: bare(perMillion(input)), output: bare(perMillion(output)), base: 0, finetune: 0 },
  }),
}

/** The body of a provider's list of models, in its own shape. */
export function modelListJson(provider: ProviderId, path: string): string {
  const sold = catalogues[provider]
  if (provider === 'google') {
    const models = sold.map(({ id, context }) => ({ name: `models/${id}`, inputTokenLimit: context }))
    return JSON.stringify({ models })
  }
  if (provider === 'bedrock' && path.startsWith('/inference-profiles')) {
    const profiles = sold.filter(({ id }) => /^us\./.test(id)).map(({ id }) => ({ inferenceProfileId: id }))
    return JSON.stringify({ inferenceProfileSummaries: profiles })
  }
  if (provider === 'bedrock')
    return JSON.stringify({
      modelSummaries: sold.filter(({ id }) => !/^us\./.test(id)).map(({ id }) => ({ modelId: id })),
    })
  const rows = sold.map((row) => ({ ...plainRow(provider, row), ...priced[provider]?.(row) }))
  // Azure lists the models a resource could deploy, not its deployments (providers §2.1).
  if (provider === 'azure' || provider === 'azure-responses') return JSON.stringify({ data: [{ id: 'gpt-5.2' }] })
  return JSON.stringify(provider === 'together' ? rows : { object: 'list', data: rows })
}
