import { expect, test } from 'vitest'
import { ResponsesEnd } from './responses-end.ts'

const sign = (text: string) => new ResponsesEnd().sign(Buffer.from(text))
const before = 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"x"}\n\n'

test.each(['completed', 'incomplete', 'failed'])(
  'the last event begins where its first line does: response.%s',
  (name) => {
    const named = `event: response.${name}\ndata: {"type":"response.${name}","response":{}}\n\n`
    expect(sign(before + named)).toEqual({ kind: 'last', at: before.length })
    const bare = `data: { "sequence_number" : 9 , "type": "response.${name}","response":{}}\n\n`
    expect(sign(before + bare)).toEqual({ kind: 'last', at: before.length })
  },
)

test('a model that writes the name ends nothing', () => {
  const delta = JSON.stringify({
    type: 'response.output_text.delta',
    delta: '"type":"response.completed"\nevent: response.completed',
  })
  expect(sign(`event: response.output_text.delta\ndata: ${delta}\n\n`)).toBe(null)
})

test('many lines that are made of the name hold nobody up', () => {
  const line = `data: ${'x'.repeat(200)} response.completed`
  for (const eol of ['\n', '\r\n', '\r']) expect(sign(`${line}${eol}`.repeat(200_000))).toBe(null)
})

test('instructions that are made of the name hold nobody up, and what follows them is found', () => {
  const name = 'response.completed '
  const created = (eol: string) =>
    `event: response.created${eol}data: {"response":{"instructions":"${name.repeat(200_000)}"}}${eol}${eol}`
  for (const eol of ['\n', '\r\n', '\r']) {
    const start = created(eol)
    expect(sign(start)).toBe(null)
    expect(sign(`${start}event: response.completed${eol}data: {}${eol}${eol}`)).toEqual({
      kind: 'last',
      at: start.length,
    })
  }
})
