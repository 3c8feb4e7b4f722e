/** What a call used beside text is found wherever a provider writes it, and never taken for nothing. */
import { describe, expect, test } from 'vitest'
import { readStreamTail } from './stream-usage.ts'
import { toolsInOutputText } from './units-apart.ts'
import { readReply, readReplyParts } from './usage.ts'

const apartOf = (usage: string) => readReply(`{"id":"a","model":"b","usage":${usage}}`)?.tokens?.apart
const chat = (more: string) => `{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,${more}}`
const responses = (more: string) => `{"input_tokens":100,"output_tokens":50,"total_tokens":150,${more}}`

describe('units in a usage block', () => {
  test.each([
    [
      'OpenAI chat, audio',
      chat('"prompt_tokens_details":{"audio_tokens":40},"completion_tokens_details":{"audio_tokens":20}'),
      { audio_in: 40, audio_out: 20 },
    ],
    ['image output', chat('"completion_tokens_details":{"image_tokens":30,"reasoning_tokens":0}'), { image_out: 30 }],
    ['xAI, images read', chat('"prompt_tokens_details":{"image_tokens":60}'), { image_in: 60 }],
    ['video', chat('"prompt_tokens_details":{"video_tokens":9}'), { video_in: 9 }],
    ['xAI, sources', chat('"num_sources_used":3'), { tool: 3 }],
    ['Anthropic, searches', chat('"server_tool_use":{"web_search_requests":2,"web_fetch_requests":5}'), { search: 2 }],
    ['Anthropic, another tool', chat('"server_tool_use":{"code_execution_requests":1}'), { tool: 1 }],
    ['Responses, audio', responses('"input_tokens_details":{"audio_tokens":8}'), { audio_in: 8 }],
    ['a count that is none', chat('"server_tool_use":{"web_search_requests":-1}'), { tool: 1 }],
    ['a count that is text', chat('"prompt_tokens_details":{"audio_tokens":"7"}'), { tool: 1 }],
    [
      'nothing but zeros',
      chat('"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":3},"server_tool_use":{"web_search_requests":0}'),
      undefined,
    ],
    ['nothing', chat('"prompt_tokens_details":null'), undefined],
  ])('%s', (_name, usage, units) => {
    expect(apartOf(usage)).toEqual(units)
  })

  test('at the end of a stream', () => {
    const tail = `data: {"choices":[],"usage":${chat('"completion_tokens_details":{"audio_tokens":20}')}}\n\ndata: [DONE]\n\n`
    expect(readStreamTail(tail).tokens?.apart).toEqual({ audio_out: 20 })
  })
})

describe('the provider’s own tools in a Responses output', () => {
  const items = (...types: string[]) => JSON.stringify(types.map((type) => ({ type, id: 'x' })))
  const usage = responses('"input_tokens_details":null')

  test('are found in a whole reply, functions of the caller’s are not', () => {
    const output = items(
      'reasoning',
      'web_search_call',
      'function_call',
      'custom_tool_call',
      'code_interpreter_call',
      'message',
    )
    const parts = { id: null, model: null, error: undefined, usage, output }
    expect(readReplyParts(parts).tokens?.apart).toEqual({ tool: 2 })
    expect(readReplyParts({ ...parts, output: items('message', 'function_call') }).tokens?.apart).toBeUndefined()
  })

  test('what a model only writes about is none', () => {
    const said = JSON.stringify([
      { type: 'message', content: [{ type: 'output_text', text: '{"type":"web_search_call"}' }] },
    ])
    expect(toolsInOutputText(said)).toBe(0)
  })
})
