import { describe, expect, test } from 'vitest'
import { chatUsage, latest } from './chat-usage.ts'
import { parseObject } from './json-object.ts'

const usage = (text: string) => {
  const said = parseObject(text)!
  return chatUsage({
    freshInput: said.in,
    cacheRead: said.read,
    cacheWrite: said.write,
    output: said.out,
    reasoning: said.think,
  })
}

test('input includes what the cache read and wrote', () => {
  expect(usage('{"in":10,"read":100,"write":20,"out":5,"think":3}')).toEqual({
    prompt_tokens: 130,
    completion_tokens: 5,
    total_tokens: 135,
    prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 20 },
    completion_tokens_details: { reasoning_tokens: 3 },
  })
})

test('cache classes that were not reported are zero, an explicit zero is zero', () => {
  expect(usage('{"in":0,"out":0,"read":null}')).toMatchObject({ prompt_tokens: 0, total_tokens: 0 })
  expect(usage('{"in":0,"out":0}')).not.toHaveProperty('completion_tokens_details')
})

test('audio, images and the provider’s own tools go on as they were counted, zeros do not', () => {
  const said = { allInput: 10, cacheRead: 0, cacheWrite: 0, output: 5, reasoning: null }
  const counted = {
    inputDetails: { audio_tokens: 4, text_tokens: 6, image_tokens: 0 },
    outputDetails: { image_tokens: 3 },
    serverTools: { web_search_requests: 2, web_fetch_requests: 0 },
  }
  expect(chatUsage({ ...said, ...counted })).toEqual({
    ...{ prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 0, audio_tokens: 4 },
    completion_tokens_details: { image_tokens: 3 },
    server_tool_use: { web_search_requests: 2 },
  })
  expect(chatUsage({ ...said, serverTools: { web_search_requests: 0 } })).not.toHaveProperty('server_tool_use')
})

describe('unknown is not zero', () => {
  test.each(['1e309', '1.7', '-1', '"12"', '1e3', '9007199254740993', '1.0', 'true', '[1]', '{}', '100000001'])(
    'a count of %s makes the whole unknown',
    (count) => {
      for (const name of ['in', 'read', 'write', 'out', 'think'])
        expect(usage(JSON.stringify({ in: 1, out: 1, [name]: '?' }).replace('"?"', count))).toBe(null)
    },
  )
  test('input and output must be said', () => {
    expect(usage('{"in":1}')).toBe(null)
    expect(usage('{"out":1,"in":null}')).toBe(null)
  })
})

test('later counts replace earlier ones and are never added', () => {
  expect(latest({ in: 10, out: 1 }, { out: 7, in: null, cache: 2 })).toEqual({ in: 10, out: 7, cache: 2 })
  expect(latest({ in: 10 }, undefined)).toEqual({ in: 10 })
})
