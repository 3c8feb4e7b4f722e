import { type Atto, parseDecimal } from '#app/platform/pico.ts'

/** Of a price in USD per million tokens: as many as an exact price per token can hold. */
const shape = /^\$?\s*(\d{1,7}(?:\.\d{1,12})?)$/

const withPoint = (units: bigint, places: number): string => {
  const digits = units.toString().padStart(places + 1, '0')
  const fraction = digits.slice(-places).replace(/0+$/, '')
  return `${digits.slice(0, -places)}${fraction ? `.${fraction}` : ''}`
}

/**
 * A price that a person typed in USD per million tokens, as exact text of USD per token: nothing is rounded. `0` is a price.
 * @returns null where it is none, or has more than 12 digits after the point
 */
export function readTypedPrice(text: string): string | null {
  const [, number] = shape.exec(text.trim()) ?? []
  const atto = number === undefined ? undefined : parseDecimal(number, 12)
  return atto === undefined ? null : withPoint(atto, 18)
}

/** Atto-dollars per token are pico-dollars per million tokens: exact text of USD per million. */
export const perMillionUsd = (price: Atto): string => withPoint(price, 12)
