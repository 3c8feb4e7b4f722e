import { createHash } from 'node:crypto'
import { isLosslessNumber } from 'lossless-json'
import { isCalendarDay } from '#app/platform/calendar-day.ts'
import { parseDecimal } from '#app/platform/pico.ts'

/** Usage that is no call, as a CloudEvent 1.0 said it. */
export interface UsageEvent {
  source: string
  id: string
  /** The meter that prices it: the event's type. */
  meter: string
  /** 1e-9 units. */
  quantityNano: bigint
  surface: string | null
  /** When it happened; when it came in, where the event does not say. */
  at: Date
  /** SHA-256 of everything it says: the same id with another hash is another event. */
  hash: string
}

export interface FieldError {
  field: string
  code: string
  message: string
}

export type ReadEvent =
  | { ok: true; event: UsageEvent }
  /** `source` and `id` as far as they can be read, so that the sender finds the event again. */
  | { ok: false; source: string | null; id: string | null; errors: FieldError[] }

/** Digits after the point that a quantity may have. */
const quantityScale = 9
/** Units; with its nine decimals it fits the ledger's column. */
const largestQuantity = 10n ** 15n * 10n ** BigInt(quantityScale)
/** How far ahead of ours a sender's clock may be, in ms. */
const clockPatienceMs = 5 * 60_000

const rfc3339 = /^(\d{4}-\d{2}-\d{2})[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/

type Bag = Record<string, unknown>
const isBag = (value: unknown): value is Bag =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)
const textOf = (value: unknown): string | null =>
  isLosslessNumber(value) ? value.value : typeof value === 'string' ? value : null

/** The same content gives the same text, whatever order its members stand in. */
function canonical(value: unknown): string {
  if (isLosslessNumber(value)) return value.value
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (isBag(value))
    return `{${Object.keys(value)
      .sort()
      .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)
      .join(',')}}`
  return JSON.stringify(value)
}

class Reading {
  readonly errors: FieldError[] = []
  readonly bag: Bag
  constructor(bag: Bag) {
    this.bag = bag
  }

  wrong(field: string, code: string, message: string): null {
    this.errors.push({ field, code, message })
    return null
  }

  /** A required text of printable characters. */
  name(field: string, longest: number): string | null {
    const value = this.bag[field]
    if (value === undefined) return this.wrong(field, 'missing', `'${field}' is missing.`)
    if (typeof value !== 'string' || !new RegExp(`^[\\x21-\\x7e]{1,${longest}}$`).test(value))
      return this.wrong(
        field,
        'invalid',
        `'${field}' must be a text of 1 to ${longest} printable ASCII characters without spaces.`,
      )
    return value
  }

  time(now: Date): Date | null {
    const value = this.bag.time
    if (value === undefined || value === null) return now
    const day = typeof value === 'string' ? rfc3339.exec(value)?.[1] : undefined
    const at = day && isCalendarDay(day) ? new Date(value as string) : null
    if (!at || Number.isNaN(at.getTime()))
      return this.wrong(
        'time',
        'invalid',
        "'time' must be a time with its zone as RFC 3339 writes it, such as 2026-11-21T14:03:00Z.",
      )
    if (at.getTime() > now.getTime() + clockPatienceMs)
      return this.wrong('time', 'time_in_future', "'time' is more than 5 minutes ahead of our clock.")
    return at
  }

  quantity(data: Bag): bigint | null {
    const field = 'data.quantity'
    if (data.quantity === undefined) return this.wrong(field, 'missing', `'${field}' is missing.`)
    const text = textOf(data.quantity)
    const fine = text === null || !/^\d/.test(text) ? undefined : parseDecimal(text, 60)
    if (fine === undefined)
      return this.wrong(
        field,
        'invalid',
        `'${field}' must be a number of 0 or more, as a JSON number or as text, such as "12.5".`,
      )
    const nano = fine / 10n ** BigInt(60 - quantityScale)
    if (nano * 10n ** BigInt(60 - quantityScale) !== fine)
      return this.wrong(field, 'too_fine', `'${field}' may have at most ${quantityScale} digits after the point.`)
    if (nano >= largestQuantity) return this.wrong(field, 'too_large', `'${field}' must be less than 1e15.`)
    return nano
  }

  surface(data: Bag, surfaces: ReadonlyMap<string, unknown>): string | null {
    const value = data.surface
    if (value === undefined || value === null) return null
    if (typeof value === 'string' && surfaces.has(value)) return value
    return this.wrong('data.surface', 'unknown_surface', "'data.surface' names a surface that is not known here.")
  }
}

/**
 * Reads one CloudEvent 1.0 (its JSON parsed with numbers kept as text). All that is wrong with it is named, field by field.
 * @param now the time for an event that says none, and what a time ahead is held against
 */
export function readUsageEvent(given: unknown, surfaces: ReadonlyMap<string, unknown>, now: Date): ReadEvent {
  if (!isBag(given))
    return {
      ok: false,
      source: null,
      id: null,
      errors: [{ field: '', code: 'invalid', message: 'An event must be a JSON object.' }],
    }
  const reading = new Reading(given)
  if (given.specversion !== '1.0') reading.wrong('specversion', 'unsupported', '\'specversion\' must be "1.0".')
  const [source, id, meter] = [reading.name('source', 500), reading.name('id', 200), reading.name('type', 128)]
  const at = reading.time(now)
  if (given.data_base64 !== undefined)
    reading.wrong('data_base64', 'unsupported', "Send the quantity as JSON in 'data'.")
  const type = given.datacontenttype
  if (type !== undefined && type !== null && !/^application\/json\b/i.test(String(type)))
    reading.wrong('datacontenttype', 'unsupported', "'datacontenttype' must be application/json.")
  const data = isBag(given.data) ? given.data : null
  if (!data)
    reading.wrong(
      'data',
      given.data === undefined ? 'missing' : 'invalid',
      "'data' must be an object with a 'quantity'.",
    )
  const quantityNano = data && reading.quantity(data)
  const surface = data && reading.surface(data, surfaces)
  if (reading.errors.length || source === null || id === null || meter === null || at === null || quantityNano === null)
    return { ok: false, source, id, errors: reading.errors }
  // 1, 1.0 and "1" are one quantity: what is meant is hashed, not how it was written.
  const content = canonical({ ...given, data: { ...data, quantity: quantityNano.toString() } })
  const hash = createHash('sha256').update(content).digest('hex')
  return { ok: true, event: { source, id, meter, quantityNano, surface, at, hash } }
}
