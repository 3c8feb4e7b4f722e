import { describe, expect, test } from 'vitest'
import { textStream, toolReply, toolStream } from '#test/dialects/bedrock-fixtures.ts'
import { readAsOpenAi } from '#test/dialects/openai-reader.ts'
import { asOracle, bedrockModel, oracleReply, oracleRequest, oracleStream } from '#test/dialects/oracle.ts'
import { chatConversation, oracleConversation } from '#test/dialects/oracle-conversation.ts'
import { context, reasoningIn, translate, upstream } from '#test/dialects/stream-pieces.ts'
import { bedrockConverse } from './bedrock-converse.ts'

const model = 'us.anthropic.claude-opus-4-6-v1'
const make = bedrockModel(model)
const ours = (chat: object) => upstream(bedrockConverse, { ...chatConversation, max_tokens: 900, ...chat }, model)
async function theirs(options: object) {
  // It asks to be told which stop sequence was met; a chat completion has no place for that.
  const { additionalModelResponseFieldPaths: _paths, ...request } = await oracleRequest(make, {
    ...oracleConversation,
    maxOutputTokens: 900,
    ...options,
  })
  return request
}

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
  ])('%s', async (_name, chat, options) => {
    expect(ours(chat)).toEqual(await theirs(options))
  })
})

describe('it reads the same from the provider as a client reads from us', () => {
  test('plain', async () => {
    const chat = JSON.parse(bedrockConverse.replies(context).whole(Buffer.from(toolReply))!.toString())
    expect(asOracle(chat)).toEqual(await oracleReply(make, toolReply))
  })
  test.each([
    ['text', textStream],
    ['tools and thinking', toolStream],
  ])('stream: %s', async (_name, bytes) => {
    const { text } = translate(bedrockConverse, [bytes])
    const read = { ...asOracle(await readAsOpenAi(text)), reasoning: reasoningIn(text) }
    expect(read).toEqual(await oracleStream(make, bytes, 'application/vnd.amazon.eventstream'))
  })
})
