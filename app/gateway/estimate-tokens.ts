import { setImmediate } from 'node:timers/promises'
import type { Endpoint } from '#app/domain/providers/provider.ts'
import { memberText } from '#app/platform/json-members.ts'
import { endpoints } from './endpoints.ts'
import type { InferenceRequest, Members } from './inference-request.ts'

type Count = (text: string) => number

let counting: Promise<Count> | null = null

/** OpenAI's o200k tokenizer, loaded when the first estimate is needed: it is large, and most processes never need it. */
function loadCount(): Promise<Count> {
  counting ??= import('gpt-tokenizer/encoding/o200k_base').then(({ countTokens }) => countTokens)
  return counting
}

/** Texts longer than this are counted by their first part, in characters: an estimate need not stop the process for a second. */
const longestCounted = 200_000

/**
 * A tokenizer takes time with the square of a run of letters, and a Chinese page may be one: a text is counted in pieces of so many
 * characters, cut where there is a space, and after some of them others have their turn.
 */
const pieceLength = 256
const piecesInTurn = 32

/** Where the piece that begins at `from` ends: before a space, which tokenizers take together with the word behind it. */
function pieceEnd(text: string, from: number): number {
  const end = from + pieceLength
  if (end >= text.length) return text.length
  const space = text.lastIndexOf(' ', end)
  if (space > from) return space
  const cutsPair = (text.charCodeAt(end) & 0xfc00) === 0xdc00
  return cutsPair ? end - 1 : end
}

async function countWhole(count: Count, text: string): Promise<number> {
  const counted = text.slice(0, longestCounted)
  let tokens = 0
  let pieces = 0
  for (let from = 0; from < counted.length; ) {
    const end = pieceEnd(counted, from)
    tokens += count(counted.slice(from, end))
    from = end
    pieces += 1
    if (pieces % piecesInTurn === 0) await setImmediate()
  }
  return text.length === counted.length ? tokens : Math.floor((tokens * text.length) / counted.length)
}

/** The texts in a value, wherever they stand in it; images and other data are left out, which undercounts. */
function textsIn(value: unknown, texts: string[] = []): string[] {
  if (value === '') return texts
  if (typeof value === 'string') texts.push(value)
  else if (Array.isArray(value)) for (const each of value) textsIn(each, texts)
  else if (typeof value === 'object' && value !== null)
    for (const [name, each] of Object.entries(value))
      if (!/^(?:image_url|input_audio|file|type|role|id)$/.test(name)) textsIn(each, texts)
  return texts
}

function parsed(bytes: Buffer, members: Members, name: string): unknown {
  const member = members.get(name)
  if (!member) return ''
  try {
    return JSON.parse(memberText(bytes, member))
  } catch {
    return ''
  }
}

/** Members of a request whose text the model reads. */
const readByModel = (endpoint: Endpoint): string[] => [
  endpoints[endpoint].input.member,
  'instructions',
  'query',
  'tools',
]

/** What a chunk, or a whole reply, says in words: its content, reasoning and tool arguments. */
function saidIn(reply: unknown): string[] {
  const { choices, output, type, delta } = (reply ?? {}) as Record<string, unknown>
  if (Array.isArray(choices))
    return choices.flatMap((choice) => {
      const { delta: part, message } = (choice ?? {}) as Record<string, unknown>
      const { content, reasoning, reasoning_content, tool_calls } = (part ?? message ?? {}) as Record<string, unknown>
      return textsIn([content, reasoning ?? reasoning_content, tool_calls])
    })
  if (typeof type === 'string' && typeof delta === 'string') return [delta]
  return Array.isArray(output) ? textsIn(output) : []
}

function saidInTail(tail: string, streamed: boolean): string {
  if (!streamed) {
    try {
      return saidIn(JSON.parse(tail)).join('')
    } catch {
      return ''
    }
  }
  const said = tail.split(/\r\n|\r|\n/).flatMap((line) => {
    if (!line.startsWith('data:')) return []
    try {
      return saidIn(JSON.parse(line.slice(5)))
    } catch {
      return [] // the first line is cut, the last may be
    }
  })
  return said.join('')
}

/**
 * Tokens of a call whose provider reported none: the request's texts, and what of the reply passed by, by a real tokenizer
 * (providers §3.4). Of a stream only the end is kept; what came before it is taken to be as dense. It errs to the
 * customer's favour (other models' tokenizers and images count more), and is marked as an estimate wherever it is shown.
 */
export async function estimateTokens(
  request: InferenceRequest,
  reply: { tail: string; bytes: number },
): Promise<{ input: number; output: number }> {
  const count = await loadCount()
  const { endpoint, bytes, members, streamed } = request
  const asked = readByModel(endpoint).flatMap((name) => textsIn(parsed(bytes, members, name)))
  const input = await countWhole(count, asked.join('\n'))
  const kept = Buffer.byteLength(reply.tail)
  const counted =
    endpoint === 'chat' || endpoint === 'responses' ? await countWhole(count, saidInTail(reply.tail, streamed)) : 0
  const output = kept === 0 || reply.bytes <= kept ? counted : Math.floor((counted * reply.bytes) / kept)
  return { input, output }
}
