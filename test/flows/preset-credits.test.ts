/** The preset `credits` (design §3): credits on the platform's key, none on one's own, native keys before OpenRouter. */
import { describe, expect, test } from 'vitest'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { usePreset } from '#test/preset.ts'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'

const preset = usePreset()

describe('credits', () => {
  test('calls draw credits until there are not enough, then say so and send nothing', async () => {
    const holder = await preset.join('credits')
    const none = await preset.ask(holder, 'openai/gpt-5-mini')
    expect([none.status, none.code, none.row]).toEqual([402, 'insufficient_credits', undefined])
    await preset.grant(holder, '0.002')
    const first = await preset.ask(holder, 'openai/gpt-5-mini', { scenario: { input: 500, output: 200 } })
    expect(first.row?.credit_pico).toBe(500n * 600_000n + 200n * 3_600_000n)
    expect(await preset.credits(holder)).toBe(2_000_000_000n - (first.row?.credit_pico as bigint))
    const sent = preset.gateway.sandbox.chats().length
    expect((await preset.ask(holder, 'openai/gpt-5-mini')).code).toBe('insufficient_credits')
    expect(preset.gateway.sandbox.chats()).toHaveLength(sent)
    // Less output fits into what is left.
    expect(
      (await preset.ask(holder, 'openai/gpt-5-mini', { output: 20, scenario: { output: 20, input: 10 } })).status,
    ).toBe(200)
  })

  test('a refused call costs nothing and gives back all that was set aside', async () => {
    const holder = await preset.join('credits')
    await preset.grant(holder, '1')
    const { row } = await preset.ask(holder, 'openai/gpt-5-mini', { scenario: { error: 500 } })
    expect(row).toMatchObject({ status: 'rejected_upstream', credit_pico: 0n })
    expect(await preset.credits(holder)).toBe(1_000_000_000_000n)
  })

  test('the six providers may be saved, others not', async () => {
    const holder = await preset.join('credits')
    for (const kind of ['openrouter', 'openai', 'deepseek', 'groq', 'xai', 'together'] as const)
      await preset.save(holder, kind)
    for (const provider of ['anthropic', 'crof', 'bedrock'] as const) {
      const credential = sandboxCredential(provider)
      await expect(saveProviderKey(holder.owner, { provider, credential })).rejects.toMatchObject({
        code: 'plan_required',
      })
    }
  })

  test('a native key wins over OpenRouter, which covers the rest; none of them draws credits', async () => {
    const holder = await preset.join('credits')
    await preset.grant(holder, '1')
    const native = {
      openai: 'openai/gpt-5-mini',
      deepseek: 'deepseek/deepseek-v4-flash',
      xai: 'x-ai/grok-4.3',
    } as const
    await preset.save(holder, 'openrouter')
    for (const [provider, model] of Object.entries(native)) {
      expect((await preset.ask(holder, model)).row?.provider).toBe('openrouter')
      await preset.save(holder, provider as keyof typeof native)
      const { row } = await preset.ask(holder, model)
      expect(row).toMatchObject({ provider, key_source: 'workspace', charge_mode: 'pass_through', charge_pico: 0n })
    }
    expect((await preset.ask(holder, 'anthropic/claude-sonnet-4.6')).row?.provider).toBe('openrouter')
    expect(await preset.credits(holder)).toBe(1_000_000_000_000n)
  })

  test('a key is no way out for surfaces that stay on the platform’s: they draw credits', async () => {
    const holder = await preset.join('credits')
    await preset.save(holder, 'openrouter')
    expect((await preset.ask(holder, 'openai/gpt-5-mini', { surface: 'search_indexer' })).code).toBe(
      'insufficient_credits',
    )
    expect((await preset.ask(holder, 'openai/gpt-5-mini')).status).toBe(200)
  })
})
