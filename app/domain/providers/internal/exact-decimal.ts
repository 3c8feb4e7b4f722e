import { isLosslessNumber } from 'lossless-json'
import { parseDecimal } from '#app/platform/pico.ts'

/** Digits after the point that are kept: no provider's price or balance has more. */
const scale = 30

function write(value: bigint): string {
  const sign = value < 0n ? '-' : ''
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0')
  const fraction = digits.slice(-scale).replace(/0+$/, '')
  return `${sign}${digits.slice(0, -scale)}${fraction ? `.${fraction}` : ''}`
}

/** The text of a number, or of a string that holds one, as JSON had it. */
export const numberText = (value: unknown): string | null =>
  isLosslessNumber(value) ? value.value : typeof value === 'string' ? value.trim() : null

/** A decimal as plain text, times 10^`shift`, exactly. Null where it is no number. */
export function exactDecimal(value: unknown, shift = 0): string | null {
  const parsed = parseDecimal(numberText(value) ?? '', scale + shift)
  return parsed === undefined ? null : write(parsed)
}

/** `a - b`, exactly. Null where either is no number. */
export function subtractDecimals(a: unknown, b: unknown): string | null {
  const left = parseDecimal(numberText(a) ?? '', scale)
  const right = parseDecimal(numberText(b) ?? '', scale)
  return left === undefined || right === undefined ? null : write(left - right)
}

/** `a * b`, exactly for factors of at most 15 digits after the point. Null where either is no number. */
export function multiplyDecimals(a: unknown, b: unknown): string | null {
  const left = parseDecimal(numberText(a) ?? '', scale)
  const right = parseDecimal(numberText(b) ?? '', scale)
  return left === undefined || right === undefined ? null : write((left * right) / 10n ** BigInt(scale))
}

/** Whether a decimal is zero or less. */
export const isSpent = (usd: string): boolean => (parseDecimal(usd, scale) ?? 1n) <= 0n
