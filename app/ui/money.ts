import { displayUsd, divideHalfEven, PICO_PER_CENT, PICO_PER_USD, type Pico, picoToUsd } from '#app/platform/pico.ts'

/** Integer pico-dollars as a domain query hands them over: text or bigint. */
export type PicoText = string | bigint

const SMALLEST_SHOWN = 1_000_000n

/** For tables and cards: cents from a dollar up, more digits below; never "0" for what is not zero. Null is unknown. */
export function money(amount: PicoText | null): string {
  if (amount === null) return 'unknown'
  const pico = BigInt(amount)
  const size = pico < 0n ? -pico : pico
  if (size > 0n && size < SMALLEST_SHOWN / 2n) return pico < 0n ? '−<$0.000001' : '<$0.000001'
  return size >= PICO_PER_USD ? displayUsd(pico, 2, 2) : displayUsd(pico, 2, 6)
}

/** For sums in columns: cents from a cent up. */
export function cents(amount: PicoText): string {
  const pico = BigInt(amount)
  return pico >= PICO_PER_CENT ? displayUsd(pico, 2, 2) : money(pico)
}

/** Exact to the last digit: `$0.012345678901`. */
export function exactMoney(amount: PicoText): string {
  const usd = picoToUsd(BigInt(amount))
  const [whole = '0', fraction = ''] = usd.replace('-', '').split('.')
  return `${usd.startsWith('-') ? '−' : ''}$${BigInt(whole).toLocaleString('en-US')}.${fraction.padEnd(2, '0')}`
}

/** Rounds parts to cents so that they add up to their rounded sum on screen: missing cents go to the largest remainders. */
export function centsThatAddUp(parts: Pico[]): { parts: string[]; total: string } {
  const total = divideHalfEven(
    parts.reduce((sum, part) => sum + part, 0n),
    PICO_PER_CENT,
  )
  const cents = parts.map((part) => part / PICO_PER_CENT)
  const byRemainder = parts
    .map((part, index) => ({ index, left: part % PICO_PER_CENT }))
    .sort((a, b) => (a.left > b.left ? -1 : 1))
  let missing = total - cents.reduce((sum, part) => sum + part, 0n)
  for (const { index } of byRemainder) {
    if (missing <= 0n) break
    cents[index] = (cents[index] ?? 0n) + 1n
    missing -= 1n
  }
  const show = (value: bigint) => displayUsd(value * PICO_PER_CENT, 2, 2)
  return { parts: cents.map(show), total: show(total) }
}

/** `12,345`; null is unknown. */
export const count = (value: PicoText | null): string =>
  value === null ? 'unknown' : BigInt(value).toLocaleString('en-US')

/** "1 call", "2 calls". */
export const counted = (value: PicoText, one: string, many = `${one}s`): string =>
  `${count(value)} ${BigInt(value) === 1n ? one : many}`
