import { eventData } from '#app/domain/providers/stream-usage.ts'
import {
  errorCodeOf,
  isObject,
  noFacts,
  parseLossless,
  type ReplyFacts,
  readReplyParts,
  type UsageShape,
} from '#app/domain/providers/usage.ts'
import { memberText, scanMembers, stringMember } from '#app/platform/json-members.ts'

/** A usage or an error that is longer than this is none, in bytes. */
const longestPart = 64 * 1024

/** Facts of a whole JSON reply, read from its top-level members; null when the bytes are not a JSON object. */
export function readJsonReply(bytes: Buffer, shape: UsageShape): ReplyFacts | null {
  const scan = scanMembers(bytes)
  if (!scan.ok) return null
  const text = (name: string) => {
    const member = scan.members.get(name)
    return member && member.end - member.start <= longestPart ? memberText(bytes, member) : undefined
  }
  const string = (name: string) => stringMember(bytes, scan.members.get(name))
  const output = scan.members.get('output') // of Responses: it shows the provider's own tools, however long it is
  const parts = { id: string('id'), model: string('model'), usage: text('usage'), error: text('error') }
  return readReplyParts({ ...parts, output: output && bytes.toString('latin1', output.start, output.end) }, shape)
}

/** What one event of a stream of Responses adds to what is known: a reply that it wraps, or an error of its own. */
function readEvent(bytes: Buffer, facts: ReplyFacts): ReplyFacts {
  const scan = scanMembers(bytes)
  if (!scan.ok) return facts
  const { members } = scan
  const [response, failure] = [members.get('response'), members.get('error')]
  if (response?.kind === 'object') return readJsonReply(bytes.subarray(response.start, response.end), 'text') ?? facts
  if (failure?.kind !== 'object' || failure.end - failure.start > longestPart) return facts
  const error = parseLossless(memberText(bytes, failure))
  return isObject(error) ? { ...facts, failed: true, errorCode: errorCodeOf(error) } : facts
}

/**
 * Reads the last events of a stream of Responses, which are whole however long: the newest with a reply counts. They repeat the
 * caller's instructions and tools, so they are not parsed: of four megabytes that took a second.
 */
export function readLastEvents(text: string): ReplyFacts {
  const plain = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
  return plain.split('\n\n').reduce((facts, event) => readEvent(Buffer.from(eventData(event.trim())), facts), noFacts)
}
