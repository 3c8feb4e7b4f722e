/** What is read part by part is what is read at a stretch, and nobody waits for it. */
import { parse } from 'lossless-json'
import { describe, expect, test } from 'vitest'
import { readUsageEvent } from '#app/domain/ledger/usage-event.ts'
import { largestEvent, mostEvents, mostValues, readUsageEvents } from './read-usage-events.ts'

const now = new Date('2026-11-21T14:00:00Z')
const surfaces = new Map([['agent_run', {}]])
const read = (body: string | Buffer) => readUsageEvents(Buffer.from(body), surfaces, now)

/** As a parser of the whole reads it. */
function atAStretch(body: string) {
  const given = parse(body)
  const batch = Array.isArray(given) ? given : [given]
  return { isBatch: Array.isArray(given), read: batch.map((one) => readUsageEvent(one, surfaces, now)) }
}

const event = (over: object = {}) => ({
  ...{ specversion: '1.0', id: 'e-1', source: '/s', type: 'seconds', data: { quantity: 1.5 } },
  ...over,
})

describe('reading the events of a body', () => {
  test.each([
    JSON.stringify(event()),
    ` \r\n\t${JSON.stringify(event())}\n`,
    JSON.stringify([event(), event({ id: 'e-2' }), 7, null, true, 'text', [], {}, [event()]]),
    ` [ ${JSON.stringify(event({ note: '],[{"}' }))} , ${JSON.stringify(event({ note: 'a\\"]\\\\', data: { quantity: '2', deep: [[{ x: ',' }]] } }))} ] `,
    `[{"specversion":"1.0","id":"big","source":"s","type":"t","data":{"quantity":9007199254740993e-6}}]`,
    JSON.stringify([event({ note: '账本 👩‍👩‍👧 \u2028', é: ' ' })]),
    '[]',
    ' [ ]\n',
    '7',
    '"text"',
    'null',
    '{}',
  ])('gives what a parser of the whole gives: %s', async (body) => {
    expect(await read(body)).toEqual(atAStretch(body))
    expect(await read(`\ufeff${body}`)).toEqual(atAStretch(body))
  })

  test.each([
    ...[
      '',
      ' ',
      '{',
      '[',
      ']',
      '[1',
      '[1,',
      '[1,]',
      '[,1]',
      '[1 2]',
      '[1]]',
      '[1],[2]',
      '[1}',
      '{]',
      '{}{}',
      '{} x',
      '[] x',
    ],
    ...[
      '["a]',
      "['a']",
      '[1,\u00a02]',
      '\u00a0[]',
      '\u00a0{}',
      '[\ufeff1]',
      '[{"id":"a","id":"b"}]',
      '{"id":"a","id":"b"}',
    ],
    ...['[tru]', '[01]', '[1.]', '["\t"]', '["\\x"]', 'x', '{"a":1}, {"b":2}'],
  ])('refuses what a parser of the whole refuses: %s', async (body) => {
    expect(() => atAStretch(body)).toThrow()
    await expect(read(body)).rejects.toMatchObject({ status: 400, code: 'invalid_json' })
  })

  test('bytes that are no UTF-8, and what is nested without end, are no JSON', async () => {
    await expect(read(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]))).rejects.toMatchObject({ code: 'invalid_json' })
    for (const body of [`${'['.repeat(5_000)}${']'.repeat(5_000)}`, `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`])
      await expect(read(body)).rejects.toMatchObject({ code: 'invalid_json' })
  })

  test('more events than a batch may have are counted, not parsed', async () => {
    const body = `[${'0,'.repeat(mostEvents)}0]`
    await expect(read(body)).rejects.toMatchObject({ status: 400, code: 'too_many_events' })
    expect((await read(`[${'0,'.repeat(mostEvents - 1)}0]`)).read).toHaveLength(mostEvents)
  })

  test('an event of more than is parsed at a stretch is refused by itself, the others of its batch are not', async () => {
    const many = event({ data: { quantity: 1, list: Array.from({ length: mostValues }, () => 1) } })
    const refused = { ok: false, errors: [{ code: 'event_too_large' }] }
    expect((await read(JSON.stringify(many))).read).toMatchObject([refused])
    expect((await read(JSON.stringify([event(), many, event({ id: 'e-2' })]))).read).toMatchObject([
      ...[{ ok: true }, refused, { ok: true }],
    ])
    const fewer = event({ data: { quantity: 1, list: Array.from({ length: mostValues - 20 }, () => 1) } })
    expect((await read(JSON.stringify(fewer))).read).toMatchObject([{ ok: true }])
    const long = (letters: number) => JSON.stringify(event({ note: 'x'.repeat(letters) }))
    const around = long(0).length
    expect((await read(long(largestEvent - around))).read).toMatchObject([{ ok: true }])
    expect((await read(long(largestEvent - around + 1))).read).toMatchObject([refused])
  })

  // A full batch held every call of the process up for a fifth of a second.
  test('others get their turn while a full body is read', async () => {
    let turns = 0
    let done = false
    const others = () => {
      turns += 1
      if (!done) setImmediate(others)
    }
    setImmediate(others)
    const body = JSON.stringify(Array.from({ length: 1_000 }, () => event({ note: 'x'.repeat(900) })))
    await read(body)
    done = true
    expect(turns).toBeGreaterThanOrEqual(Math.floor(body.length / 65_536) - 1)
  })
})
