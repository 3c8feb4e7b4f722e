import type { ChargeMode, KeySource } from '#app/domain/plans/plans.ts'
import { isTier, type Tier, type TierPrice } from '#app/domain/pricing/pricing.ts'
import type { PriceRow } from '#app/domain/pricing/raw-prices.ts'
import { isCalendarDay } from '#app/platform/calendar-day.ts'
import { type CalendarMonth, parseMonth } from '#app/platform/calendar-month.ts'
import { AppError } from '#app/platform/errors.ts'
import { idTime, isId } from '#app/platform/ids.ts'
import type { Pico } from '#app/platform/pico.ts'
import type { CallAdjustment } from './call-adjustment.ts'

export const PAGE_DEFAULT = 50
/** More is taken as this many. */
export const PAGE_MAX = 200
export const SPAN_DAYS_DEFAULT = 30
export const SPAN_DAYS_MAX = 366
/** How many calls a page may pass over in search of rare matches before it ends early. */
export const SCAN_ROWS_MAX = 200_000

const DAY_MS = 86_400_000

/** Which calls. Days are UTC, `YYYY-MM-DD`, both inclusive; null is "any". */
export interface CallFilter {
  from: string
  to: string
  model: string | null
  surface: string | null
  tier: Tier | null
  keySource: KeySource | null
  chargeMode: ChargeMode | null
  /** The month whose invoice carries the call. */
  billedIn: CalendarMonth | null
  priceBookVersion: number | null
  /** Narrows lists only: the rollups know these as counts, not as sums. */
  outcome: 'failed' | 'held' | null
}

export interface PageRequest {
  /** The call after which the page starts (older ones follow). */
  after: string | null
  limit: number
}

const chargeModes = ['tier', 'tier_margin', 'markup', 'flat_fee', 'credits', 'pass_through'] as const

const refuse = (field: string, message: string) =>
  new AppError('bad_request', 'invalid_filter', `${field}: ${message}`, { field })

/** The one value of a parameter; absent and empty are the same, as forms send empty fields. */
function one(params: URLSearchParams, field: string): string | null {
  const values = params.getAll(field)
  if (values.length > 1) throw refuse(field, 'give it once.')
  return values[0]?.trim() || null
}

function readDay(params: URLSearchParams, field: string): number | null {
  const text = one(params, field)
  if (text === null) return null
  if (!isCalendarDay(text)) throw refuse(field, 'write a day as YYYY-MM-DD, such as 2026-10-31.')
  if (text < '2000-01-01' || text > '2999-12-31') throw refuse(field, 'choose a day from 2000-01-01 to 2999-12-31.')
  return Date.parse(`${text}T00:00:00Z`)
}

const dayText = (at: number): string => new Date(at).toISOString().slice(0, 10)

function readSpan(params: URLSearchParams, now: Date): { from: string; to: string } {
  const today = Date.parse(`${now.toISOString().slice(0, 10)}T00:00:00Z`)
  const [givenFrom, givenTo] = [readDay(params, 'from'), readDay(params, 'to')]
  const longest = (from: number) => from + (SPAN_DAYS_MAX - 1) * DAY_MS
  const to = givenTo ?? (givenFrom === null ? today : Math.max(givenFrom, Math.min(today, longest(givenFrom))))
  const from = givenFrom ?? to - (SPAN_DAYS_DEFAULT - 1) * DAY_MS
  if (to < from)
    throw refuse('to', 'the last day is before the first one. Choose a later day here, or an earlier first day.')
  if (to > longest(from))
    throw refuse('from', `choose at most ${SPAN_DAYS_MAX} days: a later first day, or an earlier last day.`)
  return { from: dayText(from), to: dayText(to) }
}

function readChoice<T extends string>(params: URLSearchParams, field: string, choices: readonly T[]): T | null {
  const text = one(params, field)
  if (text === null) return null
  if (!(choices as readonly string[]).includes(text)) throw refuse(field, `choose one of ${choices.join(', ')}.`)
  return text as T
}

/** Names of models and surfaces are looked up later; here only what no name can be is refused. */
function readName(params: URLSearchParams, field: string): string | null {
  const text = one(params, field)
  if (text !== null && !/^[\x21-\x7e]{1,200}$/.test(text)) throw refuse(field, 'there is nothing of this name.')
  return text
}

function readTier(params: URLSearchParams): Tier | null {
  const text = one(params, 'tier')
  if (text !== null && !isTier(text)) throw refuse('tier', 'choose one of frontier, balanced, cost_effective.')
  return text
}

function readMonth(params: URLSearchParams): CalendarMonth | null {
  const text = one(params, 'billed')
  try {
    return text === null ? null : parseMonth(text)
  } catch {
    throw refuse('billed', 'write a month as YYYY-MM, such as 2026-10.')
  }
}

function readVersion(params: URLSearchParams): number | null {
  const text = one(params, 'prices')
  if (text !== null && !/^\d{1,6}$/.test(text)) throw refuse('prices', 'write the number of a price-book version.')
  return text === null ? null : Number(text)
}

/**
 * The filter that a URL asks for. Parameters it does not know are left alone.
 * @throws AppError bad_request `invalid_filter`, with the field
 */
export function parseCallFilter(params: URLSearchParams, now: Date): CallFilter {
  return {
    ...readSpan(params, now),
    model: readName(params, 'model'),
    surface: readName(params, 'surface'),
    tier: readTier(params),
    keySource: readChoice(params, 'key', ['platform', 'workspace'] as const),
    chargeMode: readChoice(params, 'mode', chargeModes),
    billedIn: readMonth(params),
    priceBookVersion: readVersion(params),
    outcome: readChoice(params, 'outcome', ['failed', 'held'] as const),
  }
}

/** @throws AppError bad_request `invalid_filter`, with the field */
export function parsePageRequest(params: URLSearchParams): PageRequest {
  const limit = Number(one(params, 'limit') ?? PAGE_DEFAULT)
  if (!Number.isInteger(limit) || limit < 1) throw refuse('limit', `write a whole number from 1 to ${PAGE_MAX}.`)
  const after = one(params, 'after')
  if (after !== null && !isCursor(after))
    throw refuse('after', 'this is no place in the list. Start from its first page.')
  return { after, limit: Math.min(limit, PAGE_MAX) }
}

/** A cursor is a UUIDv7 of a time that a date can hold. */
const isCursor = (text: string): boolean =>
  isId(text) && text[14] === '7' && idTime(text).getTime() < 253_402_300_800_000

/** The place in the list just before everything of an instant: the smallest id that the instant can have. */
export function cursorAt(instant: Date): string {
  const hex = instant.getTime().toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}

/** Sums over calls. `rawCostPico` holds what is known: `heldCalls` are not in it. */
export interface Sums {
  calls: bigint
  failedCalls: bigint
  heldCalls: bigint
  inputTokens: bigint
  outputTokens: bigint
  cacheReadTokens: bigint
  cacheWriteTokens: bigint
  reasoningTokens: bigint
  rawCostPico: Pico
  tierPricePico: Pico
  chargePico: Pico
  /** Drawn from credits. */
  creditPico: Pico
}

export const noSums: Sums = {
  calls: 0n,
  failedCalls: 0n,
  heldCalls: 0n,
  inputTokens: 0n,
  outputTokens: 0n,
  cacheReadTokens: 0n,
  cacheWriteTokens: 0n,
  reasoningTokens: 0n,
  rawCostPico: 0n,
  tierPricePico: 0n,
  chargePico: 0n,
  creditPico: 0n,
}

export function addSums(a: Sums, b: Sums): Sums {
  const total = { ...a }
  for (const name of Object.keys(noSums) as (keyof Sums)[]) total[name] += b[name]
  return total
}

export interface DayUsage {
  day: string
  platform: Sums
  workspace: Sums
}

export interface NamedSums {
  name: string
  sums: Sums
}

export interface Usage {
  /** On the platform's key, on the workspace's key, and both. */
  platform: Sums
  workspace: Sums
  total: Sums
  /** Every day of the range, also those without calls. */
  byDay: DayUsage[]
  byModel: NamedSums[]
  bySurface: NamedSums[]
  byTier: NamedSums[]
}

/** Every day from one to another, both inclusive. */
export function daysBetween(from: string, to: string): string[] {
  const days: string[] = []
  for (let at = Date.parse(`${from}T00:00:00Z`); at <= Date.parse(`${to}T00:00:00Z`); at += DAY_MS)
    days.push(dayText(at))
  return days
}

/** One call as lists show it. Null amounts are unknown. */
export interface CallRow {
  id: string
  dispatchedAt: Date
  surface: string
  provider: string
  model: string
  tier: string
  keySource: KeySource
  chargeMode: ChargeMode
  streamed: boolean
  status: string
  httpStatus: number | null
  errorCode: string | null
  inputTokens: bigint | null
  outputTokens: bigint | null
  cacheReadTokens: bigint | null
  cacheWriteTokens: bigint | null
  reasoningTokens: bigint | null
  /** As the call was settled with, or as it became known of a held one. */
  rawCostPico: Pico | null
  /** What its provider made of that since; null: nothing. Sums hold this one. */
  correctedCostPico: Pico | null
  costSource: string
  tierPricePico: Pico | null
  chargePico: Pico | null
  /** Drawn from credits. */
  creditPico: Pico
  correctionReason: string | null
  latencyMs: number | null
  firstByteMs: number | null
  priceBookVersion: number
  upstreamId: string | null
}

export interface CallPage {
  calls: CallRow[]
  /** `after` of the next page; null: there is none. */
  next: string | null
}

export interface CallDetail extends CallRow {
  /** Of what the customer pays: tier price and charge. What providers charge is in USD. */
  currency: string
  billingMonth: CalendarMonth
  recordedAt: Date
  origin: string
  responseModel: string | null
  /** The model's id at the provider, where it is not the one that was asked for. */
  upstreamModel: string | null
  endpoint: string
  /** The prices that made the raw cost, where it was worked out here. */
  priceRow: PriceRow | null
  /** The refused call that this one stands in for, and the one that stood in for this. */
  fallbackOf: string | null
  standIn: string | null
  usageSource: string
  costClamped: boolean
  keyId: string | null
  keyVersion: number | null
  /** Masked hint of the key in that version, where anything still knows it. */
  keyHint: string | null
  tokenName: string | null
  /** Prices of the call's tier in its price-book version; null where it has no tier or the version is gone. */
  price: TierPrice | null
  /** What a markup was taken of; null in the other modes. */
  markupBp: number | null
  basisPico: Pico | null
  basisSource: string | null
  /** The plan when the call was sent; null where nothing is known of it. */
  planName: string | null
  surfaceIsBackground: boolean
  /** Keys of the workspace that were enabled then. */
  enabledKeysThen: number
  /** What was put right after the call was charged, oldest first. Its own row, and the sum of its receipt, stay as they were. */
  adjustments: CallAdjustment[]
}
