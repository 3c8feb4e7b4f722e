/** A non-negative decimal as an integer and the number of digits after the point: `0.00125` is `{ digits: 125n, scale: 5 }`. */
interface Decimal {
  digits: bigint
  scale: number
}

function readDecimal(text: string): Decimal {
  const match = /^(\d+)(?:\.(\d+))?$/.exec(text)
  if (!match) throw new Error(`sandbox: not a plain decimal: ${text}`)
  const fraction = match[2] ?? ''
  return { digits: BigInt(`${match[1]}${fraction}`), scale: fraction.length }
}

function writeDecimal(value: Decimal): string {
  if (value.scale === 0) return value.digits.toString()
  const padded = value.digits.toString().padStart(value.scale + 1, '0')
  const whole = padded.slice(0, -value.scale)
  const fraction = padded.slice(-value.scale).replace(/0+$/, '')
  return fraction === '' ? whole : `${whole}.${fraction}`
}

/** Exact sum of decimal texts, written without trailing zeros and never with an exponent. */
export function addDecimals(...texts: string[]): string {
  let sum: Decimal = { digits: 0n, scale: 0 }
  for (const text of texts) {
    const next = readDecimal(text)
    const scale = Math.max(sum.scale, next.scale)
    sum = {
      digits: sum.digits * 10n ** BigInt(scale - sum.scale) + next.digits * 10n ** BigInt(scale - next.scale),
      scale,
    }
  }
  return writeDecimal(sum)
}

/** Exact price (USD per token, decimal text) times a whole number of tokens. */
export function timesTokens(price: string, tokens: number): string {
  if (!Number.isSafeInteger(tokens) || tokens < 0) throw new Error('sandbox: tokens must be a whole number')
  const value = readDecimal(price)
  return writeDecimal({ digits: value.digits * BigInt(tokens), scale: value.scale })
}

/** `a >= b`, exactly. */
export function atLeast(a: string, b: string): boolean {
  const left = readDecimal(a)
  const right = readDecimal(b)
  const scale = Math.max(left.scale, right.scale)
  return left.digits * 10n ** BigInt(scale - left.scale) >= right.digits * 10n ** BigInt(scale - right.scale)
}

/** `a - b`, or `0` when b is larger: what is left of a limit. */
export function remaining(a: string, b: string): string {
  if (atLeast(b, a)) return '0'
  const left = readDecimal(a)
  const right = readDecimal(b)
  const scale = Math.max(left.scale, right.scale)
  return writeDecimal({
    digits: left.digits * 10n ** BigInt(scale - left.scale) - right.digits * 10n ** BigInt(scale - right.scale),
    scale,
  })
}
