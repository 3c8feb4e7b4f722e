import { describe, expect, test } from 'vitest'
import { indexModels, matchModel, normaliseModelId, variantOf } from './model-ids.ts'

const match = (id: string, ...listed: string[]) => matchModel(id, indexModels(listed))

describe('one model under its many ids', () => {
  test.each([
    ['moonshotai/kimi-k2.6', 'kimi-k2.6'],
    ['moonshotai/kimi-k2.6', 'moonshotai/Kimi-K2.6'],
    ['moonshotai/kimi-k2.6', 'moonshotai/Kimi-K2.6-TEE'],
    ['moonshotai/kimi-k2.6', 'accounts/fireworks/models/kimi-k2p6'],
    ['anthropic/claude-opus-4.6', 'claude-opus-4-6'],
    ['anthropic/claude-sonnet-4.5', 'claude-sonnet-4-5-20250929'],
    ['anthropic/claude-sonnet-4.5', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'],
    ['openai/gpt-5-mini', 'gpt-5-mini'],
    ['google/gemini-3-pro', 'gemini-3-pro'],
    ['deepseek/deepseek-v3.1-terminus', 'DeepSeek-V3.1-Terminus'],
    ['nvidia/nemotron-3-nano-30b', 'nvidia.nemotron-nano-3-30b'],
    ['meta-llama/llama-4-maverick', 'meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8'],
  ])('%s is %s', (asked, listed) => {
    expect(match(asked, listed, 'something/else')).toEqual({ kind: 'found', model: listed })
  })

  test('the exact id wins over one that only means the same', () => {
    expect(match('kimi-k2.6', 'moonshotai/Kimi-K2.6', 'kimi-k2.6')).toEqual({ kind: 'found', model: 'kimi-k2.6' })
  })

  test('two candidates are refused, not guessed', () => {
    expect(match('gpt-oss-120b', 'openai/gpt-oss-120b', 'fast/gpt-oss-120b')).toEqual({
      kind: 'ambiguous',
      models: ['fast/gpt-oss-120b', 'openai/gpt-oss-120b'],
    })
  })

  test('another author’s model of the same name is another model', () => {
    expect(match('somebody/gpt-5-mini', 'openai/gpt-5-mini')).toEqual({ kind: 'absent' })
    expect(match('qwen/qwen3.5-plus', 'alibaba/qwen3.5-plus')).toMatchObject({ kind: 'found' })
    expect(match('openai/gpt-oss-120b', 'fast/gpt-oss-120b', 'openai/GPT-OSS-120B')).toEqual({
      kind: 'found',
      model: 'openai/GPT-OSS-120B',
    })
  })
})

describe('price and quality never change on the way', () => {
  test.each([
    ['claude-3-5-sonnet-20240620', 'claude-3-5-sonnet-20241022'],
    ['anthropic.claude-3-5-sonnet-20240620-v1:0', 'anthropic.claude-3-5-sonnet-20241022-v2:0'],
    ['amazon.titan-embed-text-v1', 'amazon.titan-embed-text-v2:0'],
  ])('%s is a dated or numbered edition, and never becomes %s', (asked, listed) => {
    expect(match(asked, listed)).toEqual({ kind: 'absent' })
  })
  test('an undated id still finds the dated one, and one with its date the alias of it', () => {
    expect(match('claude-3-5-sonnet', 'claude-3-5-sonnet-20241022')).toMatchObject({ kind: 'found' })
    expect(match('anthropic.claude-sonnet-4-20250514-v1:0', 'anthropic/claude-sonnet-4')).toMatchObject({
      kind: 'found',
    })
  })
  test('a call for one region of Bedrock is never sent to another, nor to none', () => {
    const [us, eu, here] = ['us.', 'eu.', ''].map((region) => `${region}anthropic.claude-sonnet-4-20250514-v1:0`)
    expect(match(`${us}`, `${eu}`)).toEqual({ kind: 'absent' })
    expect(match(`${us}`, `${here}`)).toEqual({ kind: 'absent' })
    expect(match('us.anthropic.claude-sonnet-4', `${us}`, `${eu}`, `${here}`)).toEqual({ kind: 'found', model: us })
    expect(match(`${us}`, 'anthropic/claude-sonnet-4')).toMatchObject({ kind: 'found' })
  })
  test('a free model never becomes a paid one, nor the other way round', () => {
    expect(match('qwen/qwen3-coder:free', 'qwen/qwen3-coder', 'qwen3-coder')).toEqual({ kind: 'absent' })
    expect(match('qwen/qwen3-coder', 'qwen/qwen3-coder:free')).toEqual({ kind: 'absent' })
    expect(match('qwen/qwen3-coder:free', 'qwen/qwen3-coder:free')).toMatchObject({ kind: 'found' })
  })
  test('a deployment of somebody’s own never becomes the model that it is called like', () => {
    const named = 'accounts/fireworks/models/kimi-k2p6#accounts/alice/deployments/gpt-5-mini'
    expect(match(named, 'openai/gpt-5-mini', 'accounts/fireworks/models/kimi-k2p6')).toEqual({ kind: 'absent' })
    expect(match(named, named)).toMatchObject({ kind: 'found' })
    // Nor that model the deployment, once an operator has listed it to price it.
    expect(match('gpt-5-mini', named)).toEqual({ kind: 'absent' })
    expect(match('gpt-5-mini', named, 'openai/gpt-5-mini')).toEqual({ kind: 'found', model: 'openai/gpt-5-mini' })
  })
  test.each(['lightning', 'turbo', 'precision'])('a base id never becomes its -%s tier', (tier) => {
    expect(match('deepseek/deepseek-v4-pro', `deepseek-v4-pro-${tier}`)).toEqual({ kind: 'absent' })
  })
  test('a variant is read, a Bedrock version is none', () => {
    expect(variantOf('openai/gpt-5:nitro')).toBe('nitro')
    expect(variantOf('anthropic.claude-sonnet-4-5-20250929-v1:0')).toBe(null)
    expect(normaliseModelId('eu.amazon.nova-pro-v1:0')).toBe('nova-pro')
  })
})
