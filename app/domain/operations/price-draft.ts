/** Price books as operators write them: USD (or the book's currency) per million tokens, in text, exactly. Pure. */
import { isCurrency } from '#app/domain/pricing/currency.ts'
import type { PriceBook, Tier, TokenRates } from '#app/domain/pricing/pricing.ts'
import { tiers } from '#app/domain/pricing/pricing.ts'
import { perMillionUsd, readTypedPrice } from '#app/domain/pricing/typed-price.ts'
import { isCalendarDay } from '#app/platform/calendar-day.ts'
import { AppError } from '#app/platform/errors.ts'

/** Per million tokens; empty: the tier is not priced, or the class costs what plain input does. */
export interface TypedTier {
  input: string
  output: string
  cacheRead: string
  cacheWrite: string
  /** One band per line: `above tokens, input, output[, cache read, cache write]`. */
  bands: string
}

export interface TypedDraft {
  currency: string
  /** `YYYY-MM-DDTHH:MM`, UTC. `effectiveUntil` may be empty. */
  effectiveFrom: string
  effectiveUntil: string
  note: string
  tiers: Record<Tier, TypedTier>
  /** One meter per line: `id, name, unit, price per unit`. */
  meters: string
}

type StoredRates = {
  inputUsd: string
  outputUsd: string
  cacheReadUsd?: string | null
  cacheWriteUsd?: string | null
}

export interface DraftPrices {
  currency: string
  effectiveFrom: Date
  effectiveUntil: Date | null
  note: string
  tiers: (StoredRates & { tier: Tier; bands: (StoredRates & { aboveInputTokens: number })[] })[]
  meters: { meter: string; name: string; unit: string; unitUsd: string }[]
}

const wrong = (field: string, text: string) => new AppError('bad_request', 'invalid_price', text, { field })

function price(field: string, text: string): string {
  const value = readTypedPrice(text)
  if (value === null)
    throw wrong(field, 'Enter a price per million tokens, such as 3 or 0.25, with at most 12 decimals.')
  return value
}

const optionalPrice = (field: string, text: string): string | null => (text.trim() ? price(field, text) : null)

function bandOf(field: string, line: string) {
  const [above = '', input = '', output = '', cacheRead = '', cacheWrite = ''] = line
    .split(',')
    .map((cell) => cell.trim())
  if (!/^[1-9]\d{0,9}$/.test(above))
    throw wrong(field, 'Write one band per line: above how many input tokens, input, output, cache read, cache write.')
  return {
    aboveInputTokens: Number(above),
    inputUsd: price(field, input),
    outputUsd: price(field, output),
    cacheReadUsd: optionalPrice(field, cacheRead),
    cacheWriteUsd: optionalPrice(field, cacheWrite),
  }
}

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)

function tierOf(tier: Tier, typed: TypedTier): DraftPrices['tiers'] {
  const given = [typed.input, typed.output, typed.cacheRead, typed.cacheWrite, typed.bands]
  if (given.every((text) => text.trim() === '')) return []
  const bands = linesOf(typed.bands).map((line) => bandOf(`${tier}.bands`, line))
  return [
    {
      tier,
      inputUsd: price(`${tier}.input`, typed.input),
      outputUsd: price(`${tier}.output`, typed.output),
      cacheReadUsd: optionalPrice(`${tier}.cacheRead`, typed.cacheRead),
      cacheWriteUsd: optionalPrice(`${tier}.cacheWrite`, typed.cacheWrite),
      bands: bands.sort((a, b) => a.aboveInputTokens - b.aboveInputTokens),
    },
  ]
}

function meterOf(line: string) {
  const [meter = '', name = '', unit = '', unitUsd = ''] = line.split(',').map((cell) => cell.trim())
  if (!/^[a-z0-9][a-zA-Z0-9_./:-]{0,127}$/.test(meter) || !name || !unit || !/^\d{1,9}(\.\d{1,18})?$/.test(unitUsd))
    throw wrong(
      'meters',
      'Write one meter per line: id, name, unit, price per unit. Such as: sandbox_seconds, Sandboxes, seconds, 0.0000125',
    )
  return { meter, name, unit, unitUsd }
}

function instant(field: string, text: string): Date {
  const [, day = '', time] = /^(\d{4}-\d{2}-\d{2})T((?:[01]\d|2[0-3]):[0-5]\d)$/.exec(text) ?? []
  if (!isCalendarDay(day)) throw wrong(field, 'Enter a time as 2026-12-01T00:00, UTC.')
  return new Date(`${day}T${time}:00.000Z`)
}

const longestNote = 200

/** Reads what an operator typed. @throws AppError bad_request `invalid_price`, naming the field */
export function readDraft(typed: TypedDraft): DraftPrices {
  const { currency } = typed
  if (!isCurrency(currency)) throw wrong('currency', 'Enter a currency in three lower-case letters, such as usd.')
  const effectiveFrom = instant('effectiveFrom', typed.effectiveFrom)
  const effectiveUntil = typed.effectiveUntil ? instant('effectiveUntil', typed.effectiveUntil) : null
  if (effectiveUntil && effectiveUntil <= effectiveFrom)
    throw wrong('effectiveUntil', 'The end must be after the beginning.')
  const note = typed.note.trim()
  if (note.length > longestNote) throw wrong('note', `A note has at most ${longestNote} characters.`)
  const rows = tiers.flatMap((tier) => tierOf(tier, typed.tiers[tier]))
  const meters = linesOf(typed.meters).map(meterOf)
  if (new Set(meters.map((one) => one.meter)).size < meters.length) throw wrong('meters', 'A meter stands there twice.')
  if (rows.length + meters.length === 0) throw wrong('frontier.input', 'Price at least one tier or one meter.')
  return { currency, effectiveFrom, effectiveUntil, note, tiers: rows, meters }
}

const perMillion = (rates: TokenRates) => ({
  input: perMillionUsd(rates.inputAtto),
  output: perMillionUsd(rates.outputAtto),
  cacheRead: rates.cacheReadAtto === undefined ? '' : perMillionUsd(rates.cacheReadAtto),
  cacheWrite: rates.cacheWriteAtto === undefined ? '' : perMillionUsd(rates.cacheWriteAtto),
})

const bandLine = (band: TokenRates & { aboveInputTokens: bigint }): string => {
  const { input, output, cacheRead, cacheWrite } = perMillion(band)
  return [String(band.aboveInputTokens), input, output, cacheRead, cacheWrite].join(', ').replace(/[, ]+$/, '')
}

const emptyTier: TypedTier = { input: '', output: '', cacheRead: '', cacheWrite: '', bands: '' }

const typedTime = (at: Date): string => at.toISOString().slice(0, 16)

/** 1e-18 units as exact text. */
export const attoText = (atto: bigint): string => {
  const digits = atto.toString().padStart(19, '0')
  return `${digits.slice(0, -18)}.${digits.slice(-18)}`.replace(/\.?0+$/, '') || '0'
}

/** A stored price book as an operator types it. Reading it back makes the same prices. */
export function toTyped(book: Omit<PriceBook, 'version' | 'workspaceId'> & { note: string }): TypedDraft {
  const tierText = (tier: Tier): TypedTier => {
    const rates = book.tiers[tier]
    return rates ? { ...perMillion(rates), bands: (rates.bands ?? []).map(bandLine).join('\n') } : emptyTier
  }
  const meters = Object.entries(book.meters).map(
    ([meter, { name, unit, unitAtto }]) => `${meter}, ${name}, ${unit}, ${attoText(unitAtto)}`,
  )
  return {
    currency: book.currency,
    effectiveFrom: typedTime(book.effectiveFrom),
    effectiveUntil: book.effectiveUntil ? typedTime(book.effectiveUntil) : '',
    note: book.note,
    tiers: Object.fromEntries(tiers.map((tier) => [tier, tierText(tier)])) as Record<Tier, TypedTier>,
    meters: meters.join('\n'),
  }
}
