import { describe, expect, test } from 'vitest'
import { textStream, toolReply, toolStream } from '#test/dialects/anthropic-fixtures.ts'
import { readAsOpenAi } from '#test/dialects/openai-reader.ts'
import { anthropicModel, asOracle, oracleReply, oracleRequest, oracleStream } from '#test/dialects/oracle.ts'
import { answerSchema, chatConversation, oracleConversation } from '#test/dialects/oracle-conversation.ts'
import { context, reasoningIn, translate, upstream } from '#test/dialects/stream-pieces.ts'
import { anthropicMessages } from './anthropic-messages.ts'

const make = anthropicModel('claude-opus-4-6')
const ours = (chat: object) =>
  upstream(anthropicMessages, { ...chatConversation, max_tokens: 900, ...chat }, 'claude-opus-4-6')
const theirs = (options: object) => oracleRequest(make, { ...oracleConversation, maxOutputTokens: 900, ...options })

describe('an implementation that knows nothing of ours sends the same request', () => {
  test.each<[string, object, object]>([
    ['a conversation with a picture and parallel tool calls', {}, {}],
    ['sampling and stops', { temperature: 0.4, stop: ['a', 'b'] }, { temperature: 0.4, stopSequences: ['a', 'b'] }],
    ['a call is demanded', { tool_choice: 'required' }, { toolChoice: { type: 'required' } }],
    [
      'one tool is demanded',
      { tool_choice: { type: 'function', function: { name: 'weather' } } },
      { toolChoice: { type: 'tool', toolName: 'weather' } },
    ],
    [
      'one tool at a time',
      { parallel_tool_calls: false },
      { providerOptions: { anthropic: { disableParallelToolUse: true } } },
    ],
    ['effort', { reasoning_effort: 'high' }, { reasoning: 'high' }],
    ['no thinking', { reasoning_effort: 'none' }, { reasoning: 'none' }],
    [
      'structured output',
      { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: answerSchema } } },
      { responseFormat: { type: 'json', schema: answerSchema } },
    ],
    ['the end user', { user: 'u-1' }, { providerOptions: { anthropic: { metadata: { userId: 'u-1' } } } }],
  ])('%s', async (_name, chat, options) => {
    expect(ours(chat)).toEqual(await theirs(options))
  })
})

describe('it reads the same from the provider as a client reads from us', () => {
  test('plain', async () => {
    const chat = JSON.parse(anthropicMessages.replies(context).whole(Buffer.from(toolReply))!.toString())
    expect(asOracle(chat)).toEqual(await oracleReply(make, toolReply))
  })
  test.each([
    ['text', textStream],
    ['tools and thinking', toolStream],
  ])('stream: %s', async (_name, bytes) => {
    const { text } = translate(anthropicMessages, [bytes])
    const read = { ...asOracle(await readAsOpenAi(text)), reasoning: reasoningIn(text) }
    expect(read).toEqual(await oracleStream(make, bytes, 'text/event-stream'))
  })
})
