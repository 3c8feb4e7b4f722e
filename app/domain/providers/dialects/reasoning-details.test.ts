import { expect, test } from 'vitest'
import { readReasoningDetails } from './reasoning-details.ts'

const format = 'anthropic-claude-v1'

test('pieces of a stream that a client only collected are joined into the block they were', () => {
  const blocks = readReasoningDetails([
    { type: 'reasoning.text', text: 'one ', format, index: 0 },
    { type: 'reasoning.text', text: 'two', format, index: 0 },
    { type: 'reasoning.text', text: '', signature: 'sig-0', format, index: 0 },
    { type: 'reasoning.text', text: 'three', signature: 'sig-1', format, index: 1 },
    { type: 'reasoning.encrypted', data: 'x', format, index: 2 },
    { type: 'reasoning.encrypted', data: 'y', format, index: 2 },
  ])
  expect(blocks.map(({ content, signature }) => [content, signature])).toEqual([
    ['one two', 'sig-0'],
    ['three', 'sig-1'],
    ['x', null],
    ['y', null],
  ])
})

test('two signed blocks without an index stay two', () => {
  const blocks = readReasoningDetails([
    { type: 'reasoning.text', text: 'a', signature: 's' },
    { type: 'reasoning.text', text: 'b', signature: 't' },
  ])
  expect(blocks.map((block) => block.content)).toEqual(['a', 'b'])
})

test('entries of an unknown kind, and what is no list, are left out', () => {
  expect(readReasoningDetails([{ type: 'reasoning.future', data: 1 }, null, 7])).toEqual([])
  expect(readReasoningDetails('text')).toEqual([])
})
