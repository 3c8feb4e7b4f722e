import { PICO_PER_CENT, parsePico } from '#app/platform/pico.ts'

/** What one top-up may come to, in cents. */
export const TOP_UP_LEAST_CENTS = 500
export const TOP_UP_MOST_CENTS = 500_000

/** An amount in dollars as it was typed, in whole cents. @returns NaN for what is no amount, or not in whole cents */
export function topUpCents(text: string): number {
  const pico = parsePico(text.trim().replace(/^\$/, ''))
  return pico === undefined || pico % PICO_PER_CENT !== 0n ? Number.NaN : Number(pico / PICO_PER_CENT)
}
