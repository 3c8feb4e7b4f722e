/** The events of a request's body, read without keeping others waiting: exact numbers are not what the engine's own parser makes. */
import { setImmediate } from 'node:timers/promises'
import { parse } from 'lossless-json'
import { type ReadEvent, readUsageEvent } from '#app/domain/ledger/usage-event.ts'
import { scanElements, valuesInObject } from '#app/platform/json-members.ts'
import { badRequest, GatewayError } from './gateway-error.ts'

/** Events of one batch, and bytes of one body. */
export const mostEvents = 1_000
const largestBody = 1024 * 1024
/** Brackets and commas outside of texts in one event, and its bytes: it is parsed at a stretch, letter by letter. */
export const mostValues = 10_000
export const largestEvent = 256 * 1024
/** Bytes after which others get their turn. */
const stretch = 64 * 1024

const invalidJson = () =>
  badRequest('invalid_json', 'The body is no JSON, names a member twice, or is nested too deeply.')

const eventTooLarge: ReadEvent = {
  ...{ ok: false, source: null, id: null },
  errors: [
    { field: '', code: 'event_too_large', message: `An event has at most ${mostValues} values and 256 KiB of JSON.` },
  ],
}

/** @throws GatewayError 400 `invalid_json` where `read` cannot read it */
function readable<T>(read: () => T): T {
  try {
    return read()
  } catch {
    throw invalidJson()
  }
}

interface Part {
  text: () => string
  bytes: number
  values: number
}

/** The body, or what it is an array of: not parsed yet. */
function partsOf(bytes: Buffer): { isBatch: boolean; parts: Part[] } {
  const text = readable(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  const isBatch = /^\s*\[/.test(text)
  if (!isBatch) {
    const values = /^\s*\{/.test(text) ? valuesInObject(text) : 1
    if (values === null) throw invalidJson()
    return { isBatch, parts: [{ text: () => text, bytes: bytes.length, values }] }
  }
  const elements = scanElements(bytes, mostEvents)
  if (!elements) throw invalidJson()
  const parts = elements.map(({ start, end, values }) => ({
    ...{ text: () => bytes.toString('utf8', start, end), bytes: end - start, values },
  }))
  return { isBatch, parts }
}

/**
 * One CloudEvent, or an array of them.
 * @param now for an event that says no time
 * @throws GatewayError 413 `body_too_large`; 400 `invalid_json`, `too_many_events`
 */
export async function readUsageEvents(
  bytes: Buffer,
  surfaces: ReadonlyMap<string, unknown>,
  now: Date,
): Promise<{ isBatch: boolean; read: ReadEvent[] }> {
  if (bytes.length > largestBody)
    throw new GatewayError(413, 'body_too_large', 'A body of usage events is at most 1 MiB.')
  const { isBatch, parts } = partsOf(bytes)
  if (parts.length > mostEvents) throw badRequest('too_many_events', `A batch has at most ${mostEvents} events.`)
  const read: ReadEvent[] = []
  let since = 0
  for (const part of parts) {
    const isTooLarge = part.values > mostValues || part.bytes > largestEvent
    if (isTooLarge) {
      read.push(eventTooLarge)
      continue
    }
    read.push(
      readUsageEvent(
        readable(() => parse(part.text())),
        surfaces,
        now,
      ),
    )
    since += part.bytes
    if (since < stretch) continue
    since = 0
    await setImmediate()
  }
  return { isBatch, read }
}
