import { displayAmount, displayExact, displayMinor, picoPerMinor } from '#app/domain/pricing/currency.ts'
import { displayUsd, divideHalfEven, PICO_PER_CENT, PICO_PER_USD, type Pico } from '#app/platform/pico.ts'

/** Integer of 1e-12 of a currency's main unit, pico-dollars mostly, as a domain query hands them over: text or bigint. */
export type PicoText = string | bigint

const SMALLEST_SHOWN = 1_000_000n

/** For tables and cards: cents from a dollar up, more digits below; never "0" for what is not zero. Null is unknown. */
export function money(amount: PicoText | null, currency = 'usd'): string {
  if (amount === null) return 'unknown'
  const pico = BigInt(amount)
  if (currency !== 'usd') return displayAmount(pico, currency)
  const size = pico < 0n ? -pico : pico
  if (size > 0n && size < SMALLEST_SHOWN / 2n) return pico < 0n ? '−<$0.000001' : '<$0.000001'
  return size >= PICO_PER_USD ? displayUsd(pico, 2, 2) : displayUsd(pico, 2, 6)
}

/** For sums in columns: cents from a cent up. */
export function cents(amount: PicoText, currency = 'usd'): string {
  const pico = BigInt(amount)
  return currency === 'usd' && pico >= PICO_PER_CENT ? displayUsd(pico, 2, 2) : money(pico, currency)
}

/** Exact to the last digit: `$0.012345678901`. */
export const exactMoney = (amount: PicoText, currency = 'usd'): string => displayExact(BigInt(amount), currency)

/**
 * Rounds parts to cents, or what the currency has in their place, so that they add up to their rounded sum on screen: missing cents go
 * to the largest remainders. What would round to nothing and is not nothing is shown with more digits, as `money` does.
 */
export function centsThatAddUp(parts: Pico[], currency = 'usd'): { parts: string[]; total: string } {
  const unit = picoPerMinor(currency)
  const sum = parts.reduce((so, part) => so + part, 0n)
  const total = divideHalfEven(sum, unit)
  const cents = parts.map((part) => part / unit)
  const byRemainder = parts
    .map((part, index) => ({ index, left: part % unit }))
    .sort((a, b) => (a.left > b.left ? -1 : 1))
  let missing = total - cents.reduce((so, part) => so + part, 0n)
  for (const { index } of byRemainder) {
    if (missing <= 0n) break
    cents[index] = (cents[index] ?? 0n) + 1n
    missing -= 1n
  }
  const show = (value: bigint, exact: Pico) =>
    value === 0n && exact !== 0n ? money(exact, currency) : displayMinor(value, currency)
  return { parts: cents.map((value, index) => show(value, parts[index] ?? 0n)), total: show(total, sum) }
}

/** `12,345`; null is unknown. */
export const count = (value: PicoText | null): string =>
  value === null ? 'unknown' : BigInt(value).toLocaleString('en-US')

/** "1 call", "2 calls". */
export const counted = (value: PicoText, one: string, many = `${one}s`): string =>
  `${count(value)} ${BigInt(value) === 1n ? one : many}`
