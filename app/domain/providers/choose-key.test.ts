import { describe, expect, test } from 'vitest'
import { chooseKey, type UsableKey } from './choose-key.ts'
import { indexModels } from './model-ids.ts'
import type { Endpoint, ProviderId } from './provider.ts'

const lists: Partial<Record<ProviderId, string[]>> = {
  openrouter: [
    'anthropic/claude-opus-4.6',
    'moonshotai/kimi-k2.6',
    'openai/gpt-5-mini',
    'openai/gpt-oss-120b',
    'qwen/qwen3-coder:free',
  ],
  crof: ['kimi-k2.6', 'glm-5.1'],
  openai: ['gpt-5-mini', 'text-embedding-3-small'],
  anthropic: ['claude-opus-4-6'],
  google: ['gemini-3-pro'],
  deepseek: ['deepseek-v4-flash'],
  groq: ['openai/gpt-oss-120b', 'llama-3.3-70b-versatile'],
  together: ['moonshotai/Kimi-K2.6', 'openai/gpt-oss-120b'],
  azure: ['prod-gpt'],
}

const key = (provider: ProviderId, over: Partial<UsableKey> = {}): UsableKey => ({
  id: `key-${provider}`,
  provider,
  allowedModels: [],
  models: lists[provider] ? indexModels(lists[provider]) : null,
  ...over,
})

interface Asked {
  forced?: ProviderId
  precedence?: string[]
  endpoint?: Endpoint
  hosted?: boolean
}

function choose(model: string, keys: (ProviderId | UsableKey)[], asked: Asked = {}) {
  const { forced = null, precedence = [], endpoint = 'chat', hosted = false } = asked
  const usable = keys.map((each) => (typeof each === 'string' ? key(each) : each))
  const answer = chooseKey({ model, endpoint, forced, keys: usable, precedence, hosted })
  return answer.kind === 'key' ? `${answer.key.id} ${answer.model}` : answer.kind === 'none' ? 'none' : answer.code
}

describe('the caller insists on a provider', () => {
  test('its key is taken, under its own id of the model', () => {
    expect(choose('anthropic/claude-opus-4.6', ['openrouter', 'anthropic'], { forced: 'openrouter' })).toBe(
      'key-openrouter anthropic/claude-opus-4.6',
    )
    expect(choose('anthropic/claude-opus-4.6', ['openrouter', 'anthropic'], { forced: 'anthropic' })).toBe(
      'key-anthropic claude-opus-4-6',
    )
    expect(choose('gpt-5-mini', ['openrouter'], { forced: 'openrouter' })).toBe('key-openrouter openai/gpt-5-mini')
    expect(choose('whatever', ['azure'], { forced: 'azure' })).toBe('key-azure prod-gpt')
  })
  test('no key of it, or no such endpoint there, is said and nothing else is tried', () => {
    expect(choose('gpt-5-mini', ['openrouter'], { forced: 'openai' })).toBe('no_key_for_provider')
    expect(choose('claude-opus-4-6', ['anthropic'], { forced: 'anthropic', endpoint: 'embeddings' })).toBe(
      'endpoint_not_served',
    )
  })
  test('a pasted id that its list lacks goes out as it is', () => {
    expect(choose('gpt-6-preview', ['openai'], { forced: 'openai' })).toBe('key-openai gpt-6-preview')
  })
})

describe('an explicit prefix', () => {
  test.each([
    ['groq/openai/gpt-oss-120b', 'key-groq openai/gpt-oss-120b'],
    ['crof/kimi-k2.6', 'key-crof kimi-k2.6'],
    ['crofai/kimi-k2.6', 'key-crof kimi-k2.6'],
    ['openrouter/moonshotai/kimi-k2.6', 'key-openrouter moonshotai/kimi-k2.6'],
    ['openrouter/auto', 'key-openrouter openrouter/auto'],
    ['azure/prod-gpt', 'key-azure prod-gpt'],
  ])('%s', (model, expected) => {
    expect(choose(model, ['groq', 'crof', 'openrouter', 'azure'])).toBe(expected)
  })
  test('of a provider without a key is said', () => {
    expect(choose('groq/llama-3.3-70b-versatile', ['openrouter'])).toBe('no_key_for_provider')
  })
})

describe('a provider’s name that is an author’s as well', () => {
  const nemotron = 'nvidia/nemotron-3-super-120b'
  const nvidia = key('nvidia', { models: indexModels([nemotron, 'meta/llama-4-maverick']) })
  const everywhere = key('openrouter', { models: indexModels([nemotron, `${nemotron}:free`, 'x-ai/grok-4.3']) })
  test('is no wish for its key: other hosts serve the author’s models too', () => {
    expect(choose(nemotron, [everywhere])).toBe(`key-openrouter ${nemotron}`)
    expect(choose(`${nemotron}:free`, [everywhere, nvidia])).toBe(`key-openrouter ${nemotron}:free`)
    expect(choose(nemotron, [], { hosted: true })).toBe('none')
    expect(choose('xai/grok-4.3', [key('vercel', { models: indexModels(['xai/grok-4.3']) })])).toBe(
      'key-vercel xai/grok-4.3',
    )
    expect(choose('xai/grok-4.3', [everywhere])).toBe('key-openrouter x-ai/grok-4.3')
  })
  test('goes to the author’s own host where there is a key of it, under the id that it has there', () => {
    expect(choose(nemotron, [everywhere, nvidia])).toBe(`key-nvidia ${nemotron}`)
    expect(choose(nemotron, [key('nvidia', { models: null })])).toBe(`key-nvidia ${nemotron}`)
    expect(choose(nemotron, [key('nvidia', { models: null })], { forced: 'nvidia' })).toBe(`key-nvidia ${nemotron}`)
    expect(choose('nvidia/nemotron-5', [nvidia], { forced: 'nvidia' })).toBe('key-nvidia nvidia/nemotron-5')
    expect(choose('xai/grok-4.3', [key('xai', { models: null })])).toBe('key-xai grok-4.3')
    const xai = key('xai', { models: indexModels(['grok-4.3']) })
    expect(choose('xai/grok-4-latest', [everywhere, xai, 'openai'])).toBe('key-xai grok-4-latest')
    expect(choose('xai/grok-4-latest', [xai, key('vercel', { models: indexModels(['xai/grok-4-latest']) })])).toBe(
      'key-vercel xai/grok-4-latest',
    )
  })
  test('before an id with an author of its own it is a prefix', () => {
    expect(choose('nvidia/meta/llama-4-maverick', [everywhere, nvidia])).toBe('key-nvidia meta/llama-4-maverick')
    expect(choose('nvidia/meta/llama-4-maverick', [everywhere])).toBe('no_key_for_provider')
  })
})

describe('a bare id of a family', () => {
  test('is its own in capitals, too', () => {
    const precedence = ['openrouter']
    expect(choose('GPT-5-mini', ['openrouter', 'openai'], { precedence })).toBe('key-openai gpt-5-mini')
  })
  const crof = key('crof', { models: indexModels(['deepseek-v3.2', 'gpt-oss-120b']) })
  test('goes to a host that lists this very id where the family’s own host does not list it', () => {
    expect(choose('deepseek-v3.2', ['deepseek', crof])).toBe('key-crof deepseek-v3.2')
    expect(choose('deepseek-v4-flash', ['deepseek', crof])).toBe('key-deepseek deepseek-v4-flash')
  })
  test('goes to the family’s own host where nobody lists it: lists lag behind', () => {
    expect(choose('deepseek-v5', ['deepseek', crof])).toBe('key-deepseek deepseek-v5')
    expect(choose('deepseek-v3.2', [key('deepseek', { models: null }), crof])).toBe('key-deepseek deepseek-v3.2')
  })
  test('OpenAI’s open weights are no model of its API', () => {
    expect(choose('gpt-oss-120b', ['openai', 'groq'])).toBe('key-groq openai/gpt-oss-120b')
    expect(choose('gpt-oss-120b', ['openai', crof])).toBe('key-crof gpt-oss-120b')
  })
})

describe('the model alone', () => {
  test.each([
    ['gpt-5-mini', 'key-openai gpt-5-mini'],
    ['claude-opus-4-6', 'key-anthropic claude-opus-4-6'],
    ['gemini-3-pro', 'key-google gemini-3-pro'],
    ['deepseek-v4-flash', 'key-deepseek deepseek-v4-flash'],
  ])('%s is its own provider’s', (model, expected) => {
    expect(choose(model, ['openrouter', 'openai', 'anthropic', 'google', 'deepseek'])).toBe(expected)
  })
  test('author/slug goes to the author’s own host before OpenRouter', () => {
    expect(choose('openai/gpt-5-mini', ['openrouter', 'openai'])).toBe('key-openai gpt-5-mini')
    expect(choose('anthropic/claude-opus-4.6', ['openrouter', 'anthropic'])).toBe('key-anthropic claude-opus-4-6')
  })
  test('a model that the author’s host does not list goes to OpenRouter', () => {
    expect(choose('openai/gpt-oss-120b', ['openrouter', 'openai'])).toBe('key-openrouter openai/gpt-oss-120b')
  })
  test('CrofAI before OpenRouter where the plan says so, and OpenRouter for what CrofAI lacks', () => {
    const precedence = ['crof', 'openrouter']
    expect(choose('moonshotai/kimi-k2.6', ['openrouter', 'crof'], { precedence })).toBe('key-crof kimi-k2.6')
    expect(choose('anthropic/claude-opus-4.6', ['openrouter', 'crof'], { precedence })).toBe(
      'key-openrouter anthropic/claude-opus-4.6',
    )
  })
  test('other hosts serve what they list, when no key comes first', () => {
    expect(choose('moonshotai/kimi-k2.6', ['together'])).toBe('key-together moonshotai/Kimi-K2.6')
    expect(choose('llama-3.3-70b-versatile', ['together', 'groq'])).toBe('key-groq llama-3.3-70b-versatile')
  })
  test('a host that lists this very id comes before one that lists another spelling of it', () => {
    expect(choose('moonshotai/Kimi-K2.6', ['openrouter', 'together'])).toBe('key-together moonshotai/Kimi-K2.6')
    expect(choose('moonshotai/kimi-k2.6', ['openrouter', 'together'])).toBe('key-openrouter moonshotai/kimi-k2.6')
    expect(choose('openai/gpt-oss-120b', ['groq', 'openrouter'])).toBe('key-openrouter openai/gpt-oss-120b')
  })
  test('before a list is known the author’s host is asked under its own spelling', () => {
    const fresh = key('anthropic', { models: null })
    expect(choose('anthropic/claude-opus-4.6', ['openrouter', fresh])).toBe('key-anthropic claude-opus-4-6')
  })
  test('a free model stays where it is free', () => {
    expect(choose('qwen/qwen3-coder:free', ['crof', 'openrouter'])).toBe('key-openrouter qwen/qwen3-coder:free')
  })
  test('OpenRouter takes ids that its list lacks', () => {
    expect(choose('newlab/new-model', ['crof', 'openrouter'])).toBe('key-openrouter newlab/new-model')
  })
  test('an id that nobody lists goes to the only key there is, unless the platform offers it', () => {
    expect(choose('my-finetune', ['together'])).toBe('key-together my-finetune')
    expect(choose('anthropic/claude-opus-4.6', ['openai'], { hosted: true })).toBe('none')
    expect(choose('my-finetune', ['together', 'groq'])).toBe('none')
    expect(choose('some-model', ['azure'])).toBe('none')
  })
})

test('a host that has the model but not the endpoint is named', () => {
  expect(choose('claude-opus-4-6', ['anthropic', 'openai'], { endpoint: 'embeddings' })).toBe('endpoint_not_served')
})

describe('several keys of one provider', () => {
  const first = key('openai', { id: 'first', allowedModels: ['text-embedding-3-small'] })
  const second = key('openai', { id: 'second' })
  test('the first that is allowed for the model is taken', () => {
    expect(choose('gpt-5-mini', [first, second])).toBe('second gpt-5-mini')
    expect(choose('text-embedding-3-small', [first, second], { endpoint: 'embeddings' })).toBe(
      'first text-embedding-3-small',
    )
  })
  test('one whose list has the model comes before one whose list lacks it: keys have regions, projects and deployments', () => {
    const at = (id: string, ...models: string[]) => key('azure', { id, models: indexModels(models) })
    const deployments = [at('cheap', 'mini'), at('dear', 'gpt-5')]
    expect(choose('azure/gpt-5', deployments)).toBe('dear gpt-5')
    expect(choose('gpt-5', deployments, { forced: 'azure' })).toBe('dear gpt-5')
    expect(choose('whatever', deployments, { forced: 'azure' })).toBe('ambiguous_model')
    expect(choose('azure/whatever', [at('one', 'mini'), at('other', 'mini')])).toBe('one mini')
    const restricted = key('azure', { id: 'not', allowedModels: ['gpt-4o'], models: indexModels(['mini']) })
    expect(choose('azure/whatever', [restricted, at('dear', 'gpt-5')])).toBe('dear gpt-5')
    const [us, eu] = ['us', 'eu'].map((region) =>
      key('bedrock', { id: region, models: indexModels([`${region}.anthropic.claude-opus-4-6-v1`]) }),
    ) as [UsableKey, UsableKey]
    expect(choose('eu.anthropic.claude-opus-4-6-v1', [us, eu])).toBe('eu eu.anthropic.claude-opus-4-6-v1')
    expect(choose('us.anthropic.claude-opus-9-v1', [us, eu])).toBe('us us.anthropic.claude-opus-9-v1')
  })
  test('one whose list is not known keeps its place', () => {
    const fresh = key('openai', { id: 'fresh', models: null })
    expect(choose('gpt-5-mini', [fresh, second])).toBe('fresh gpt-5-mini')
  })
  test('none allowed: it is as if there were none, unless the provider was named', () => {
    expect(choose('gpt-5-mini', [first])).toBe('none')
    expect(choose('gpt-5-mini', [first], { forced: 'openai' })).toBe('model_not_allowed')
  })
})

test('an id that begins with an author and that a host lists as it stands is no prefix', () => {
  const id = 'deepseek/deepseek-v3/community'
  expect(choose(id, [key('novita', { models: indexModels([id]) })])).toBe(`key-novita ${id}`)
  expect(choose(id, [key('novita', { models: indexModels([id]) }), 'deepseek'])).toBe(`key-novita ${id}`)
  expect(choose(id, ['novita'])).toBe('no_key_for_provider')
})

test('a list with two candidates is refused by name', () => {
  const twins = key('together', { models: indexModels(['a/llama-x', 'b/llama-x']) })
  expect(choose('llama-x', [twins])).toBe('ambiguous_model')
})
