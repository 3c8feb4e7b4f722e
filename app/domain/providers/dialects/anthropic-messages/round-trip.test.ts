import { expect, test } from 'vitest'
import { toolStream } from '#test/dialects/anthropic-fixtures.ts'
import { openRouterTurns } from '#test/dialects/openrouter-client.ts'
import { translate } from '#test/dialects/stream-pieces.ts'
import { anthropicMessages } from './anthropic-messages.ts'

test('a client of OpenRouter’s gives signed thinking back as it came, with the calls and their results', async () => {
  const { text } = translate(anthropicMessages, [toolStream])
  const second = await openRouterTurns(text, (call) => `result of ${call.id}`)
  const body = Buffer.from(JSON.stringify(second))
  const sent = JSON.parse(anthropicMessages.toUpstream({ body, model: 'claude-opus-5', streamed: true }).toString())
  expect(sent.messages.slice(1)).toMatchObject([
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Two cities, two calls.', signature: 'c2lnbmVk' },
        { type: 'redacted_thinking', data: 'aGlkZGVu' },
        { type: 'text', text: 'Looking.' },
        { type: 'tool_use', id: 'toolu_a', input: { city: 'Paris' } },
        { type: 'tool_use', id: 'toolu_b', input: { city: '東京' } },
        { type: 'tool_use', id: 'toolu_c', input: {} },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'toolu_a', content: 'result of toolu_a' },
        { type: 'tool_result', tool_use_id: 'toolu_b' },
        { type: 'tool_result', tool_use_id: 'toolu_c' },
      ],
    },
  ])
})
