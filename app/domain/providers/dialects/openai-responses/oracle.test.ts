import { describe, expect, test } from 'vitest'
import { readAsOpenAi } from '#test/dialects/openai-reader.ts'
import { asOracle, oracleReply, oracleRequest, oracleStream, responsesModel } from '#test/dialects/oracle.ts'
import { answerSchema, chatConversation, oracleConversation } from '#test/dialects/oracle-conversation.ts'
import { textStream, toolReply, toolStream } from '#test/dialects/responses-fixtures.ts'
import { context, reasoningIn, translate, upstream } from '#test/dialects/stream-pieces.ts'
import { openaiResponses } from './openai-responses.ts'

const make = await responsesModel('gpt-5-mini')
// It is there as a part of another provider of the AI SDK, not as a dependency of our own.
const needsOracle = describe.skipIf(make === null)

interface Item {
  role?: string
  content?: unknown
  strict?: boolean
}

/** What both spell differently and mean alike: a text or a list of one, the default detail, who gives instructions. */
function alike(request: { input: Item[]; include?: unknown; [name: string]: unknown }) {
  const { include: _include, ...rest } = request
  const text = JSON.stringify({
    ...rest,
    input: request.input.map((item) => ({
      ...item,
      ...(item.role === 'system' ? { role: 'developer' } : {}),
      ...(typeof item.content === 'string' ? { content: [{ type: 'input_text', text: item.content }] } : {}),
    })),
  })
  return JSON.parse(text.replaceAll(',"detail":"auto"', ''))
}

const ours = (chat: object) => upstream(openaiResponses, { ...chatConversation, ...chat }, 'gpt-5-mini')
const theirs = (options: { providerOptions?: { openai?: object } }) =>
  oracleRequest(make!, {
    ...oracleConversation,
    ...options,
    providerOptions: { openai: { store: false, ...options.providerOptions?.openai } },
  })

needsOracle('an implementation that knows nothing of ours sends the same request', () => {
  test.each<[string, object, object]>([
    ['a conversation with a picture and parallel tool calls', {}, {}],
    ['a limit', { max_tokens: 900 }, { maxOutputTokens: 900 }],
    ['a call is demanded', { tool_choice: 'required' }, { toolChoice: { type: 'required' } }],
    [
      'one tool is demanded',
      { tool_choice: { type: 'function', function: { name: 'weather' } } },
      { toolChoice: { type: 'tool', toolName: 'weather' } },
    ],
    [
      'one tool at a time',
      { parallel_tool_calls: false },
      { providerOptions: { openai: { parallelToolCalls: false } } },
    ],
    [
      'effort',
      { reasoning: { effort: 'high', summary: 'detailed' } },
      { providerOptions: { openai: { reasoningEffort: 'high' } } },
    ],
    [
      'structured output',
      { response_format: { type: 'json_schema', json_schema: { name: 'a', strict: true, schema: answerSchema } } },
      { responseFormat: { type: 'json', name: 'a', schema: answerSchema } },
    ],
    ['the end user', { user: 'u-1' }, { providerOptions: { openai: { user: 'u-1' } } }],
  ])('%s', async (_name, chat, options) => {
    expect(alike(ours(chat))).toEqual(alike(await theirs(options)))
  })
})

needsOracle('it reads the same from the provider as a client reads from us', () => {
  /** It keeps paragraphs of reasoning apart, where we put a blank line; and it says nothing of a cache that was not written. */
  const plain = (reply: { reasoning: string; cacheWrite: number | undefined }) => ({
    ...reply,
    reasoning: reply.reasoning.replaceAll('\n', ''),
    cacheWrite: reply.cacheWrite ?? 0,
  })
  test('plain', async () => {
    const chat = JSON.parse(openaiResponses.replies(context).whole(Buffer.from(toolReply))!.toString())
    expect(plain(asOracle(chat))).toEqual(plain(await oracleReply(make!, toolReply)))
  })
  test.each([
    ['text', textStream],
    ['tools and reasoning', toolStream],
  ])('stream: %s', async (_name, bytes) => {
    const { text } = translate(openaiResponses, [bytes])
    const read = { ...asOracle(await readAsOpenAi(text)), reasoning: reasoningIn(text) }
    expect(plain(read)).toEqual(plain(await oracleStream(make!, bytes, 'text/event-stream')))
  })
})
