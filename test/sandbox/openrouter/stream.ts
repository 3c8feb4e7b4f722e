import type { Reply } from './completion.ts'
import { type Exchange, pause, writePiece } from './exchange.ts'
import type { Scenario } from './scenario.ts'

/** Turns events into bytes with the line ends a scenario asks for. */
export function eventText(data: string, scenario: Scenario, index = 0): string {
  const ends = { crlf: '\r\n', cr: '\r' }
  const end = scenario.eol === 'mixed' ? (index % 2 === 0 ? '\n' : '\r\n') : scenario.eol ? ends[scenario.eol] : '\n'
  return `data: ${data}${end}${end}`
}

function chunkJson(reply: Reply, delta: object, finish: string | null, tail = ''): string {
  const text = JSON.stringify({
    id: reply.id,
    provider: 'Sandbox',
    model: reply.model,
    object: 'chat.completion.chunk',
    created: Number(reply.id.split('-')[1]),
    choices: [{ index: 0, delta, finish_reason: finish, native_finish_reason: finish, logprobs: null }],
  })
  return `${text.slice(0, -1)}${tail}}`
}

const toolDelta = (reply: Reply, piece: string, first: boolean) => ({
  role: 'assistant',
  content: null,
  tool_calls: [
    first
      ? {
          index: 0,
          id: reply.toolCall?.id,
          type: 'function',
          function: { name: reply.toolCall?.name, arguments: piece },
        }
      : { index: 0, function: { arguments: piece } },
  ],
})

/** The data of every content event, one per piece. */
export function contentEvents(reply: Reply): string[] {
  return reply.pieces.map((piece, index) =>
    chunkJson(
      reply,
      reply.toolCall ? toolDelta(reply, piece, index === 0) : { role: 'assistant', content: piece },
      null,
    ),
  )
}

/** What follows the content: the finish event, the usage event, the end mark. */
export function closingEvents(reply: Reply, usage: string | null, scenario: Scenario): string[] {
  const tail = usage === null ? '' : `,"usage":${usage}`
  const last = scenario.usageOnFinish
    ? [chunkJson(reply, { role: 'assistant', content: '' }, reply.finish, tail)]
    : [
        chunkJson(reply, { role: 'assistant', content: '' }, reply.finish),
        ...(usage === null ? [] : [chunkJson(reply, { role: 'assistant', content: '' }, null, tail)]),
      ]
  if (scenario.done === 'none') return last
  if (scenario.done === 'twice') return [...last, '[DONE]', '[DONE]']
  if (scenario.done === 'then-data') return [...last, '[DONE]', chunkJson(reply, { content: 'late' }, null)]
  return [...last, '[DONE]']
}

export function errorEvent(reply: Reply): string {
  const text = chunkJson(reply, { role: 'assistant', content: '' }, 'error')
  const error = JSON.stringify({
    code: 502,
    message: 'Provider disconnected',
    metadata: { error_type: 'provider_unavailable', provider_name: 'Sandbox' },
  })
  return `{"error":${error},${text.slice(1)}`
}

/** Cuts a piece inside its first multi-byte character, if it has one. */
function splitInCharacter(bytes: Buffer): Buffer[] {
  const at = bytes.findIndex((byte) => byte >= 0xc0)
  return at < 0 ? [bytes] : [bytes.subarray(0, at + 1), bytes.subarray(at + 1)]
}

/** Writes one event; false when the client has left. */
export async function sendEvent(exchange: Exchange, text: string, scenario: Scenario): Promise<boolean> {
  if (!scenario.splitUtf8) return writePiece(exchange, text)
  for (const piece of splitInCharacter(Buffer.from(text))) {
    if (!(await writePiece(exchange, piece))) return false
    if (!(await pause(exchange, 2))) return false
  }
  return true
}
