/**
 * Exact money. An amount is an integer of pico-dollars (1e-12 USD) in a bigint; a price is an exact decimal of USD per
 * token, held as an integer of atto-dollars (1e-18 USD). No floating point anywhere.
 */
export type Pico = bigint
export type Atto = bigint

export const PICO_PER_USD = 1_000_000_000_000n
export const PICO_PER_CENT = 10_000_000_000n
const ATTO_PER_PICO = 1_000_000n

const DECIMAL = /^(-?)(\d{1,30})(?:\.(\d{1,60}))?(?:[eE]([+-]?\d{1,3}))?$/

/** Divides, rounding half to even. @throws RangeError on a non-positive divisor */
export function divideHalfEven(dividend: bigint, divisor: bigint): bigint {
  if (divisor <= 0n) throw new RangeError('divisor must be positive')
  const negative = dividend < 0n
  const magnitude = negative ? -dividend : dividend
  let quotient = magnitude / divisor
  const twice = (magnitude % divisor) * 2n
  if (twice > divisor || (twice === divisor && quotient % 2n === 1n)) quotient += 1n
  return negative ? -quotient : quotient
}

/**
 * Reads a decimal from its text into an integer of 10^-scale units; digits beyond are rounded half to even.
 * @returns undefined where the text is no plain decimal number (NaN, hex, Infinity, empty, absurdly long)
 */
export function parseDecimal(text: string, scale: number): bigint | undefined {
  const match = DECIMAL.exec(text)
  if (!match) return undefined
  const [, sign, whole = '', fraction = '', exponentText = '0'] = match
  const exponent = Number(exponentText)
  if (Math.abs(exponent) > 60) return undefined
  const digits = BigInt(whole + fraction)
  const shift = scale - fraction.length + exponent
  const value = shift >= 0 ? digits * 10n ** BigInt(shift) : divideHalfEven(digits, 10n ** BigInt(-shift))
  return sign === '-' ? -value : value
}

/** USD text → pico-dollars. @returns undefined where it is no decimal number */
export const parsePico = (usd: string): Pico | undefined => parseDecimal(usd, 12)

/** USD-per-token text → atto-dollars per token. @throws RangeError: prices come from operators and must be exact */
export function parseAtto(usdPerToken: string): Atto {
  const value = parseDecimal(usdPerToken, 18)
  if (value === undefined || value < 0n)
    throw new RangeError(`"${usdPerToken.slice(0, 40)}" is not a price in USD per token.`)
  return value
}

/** Rounds an atto amount to pico, half to even: the one rounding a call's price can undergo. */
export const attoToPico = (amount: Atto): Pico => divideHalfEven(amount, ATTO_PER_PICO)

/** Exact USD text of an amount, e.g. `-0.000000012` or `12.5`. */
export function picoToUsd(amount: Pico): string {
  const sign = amount < 0n ? '-' : ''
  const digits = (amount < 0n ? -amount : amount).toString().padStart(13, '0')
  const fraction = digits.slice(-12).replace(/0+$/, '')
  return `${sign}${digits.slice(0, -12)}${fraction ? `.${fraction}` : ''}`
}

/** For display only: `$1,234.56`, with more digits (up to `maxDecimals`) where the amount is small. */
export function displayUsd(amount: Pico, minDecimals = 2, maxDecimals = 6): string {
  const scale = 12 - maxDecimals
  const rounded = divideHalfEven(amount, 10n ** BigInt(scale))
  const sign = rounded < 0n ? '−' : ''
  const digits = (rounded < 0n ? -rounded : rounded).toString().padStart(maxDecimals + 1, '0')
  const whole = BigInt(digits.slice(0, -maxDecimals)).toLocaleString('en-US')
  const fraction = digits.slice(-maxDecimals)
  const kept = fraction.replace(/0+$/, '').padEnd(minDecimals, '0')
  return `${sign}$${whole}.${kept}`
}

/** `$12.34` of an integer number of cents. */
export const displayCents = (cents: bigint): string => displayUsd(cents * PICO_PER_CENT, 2, 2)
