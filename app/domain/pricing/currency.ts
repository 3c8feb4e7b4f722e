import { divideHalfEven, type Pico } from '#app/platform/pico.ts'

/**
 * Amounts in any currency are integers of 1e-12 of its main unit, as pico-dollars are. What is billed is whole minor units
 * (stripe §2.4, §4 case 66): the table says how many there are in a main unit, everything else has hundredths.
 */
const zeroDecimal = new Set('bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' '))
const threeDecimal = new Set('bhd jod kwd omr tnd'.split(' '))
/** Without hundredths for long, but Stripe goes on taking them in hundredths, as a hundred of them. */
const wholeInHundredths = new Set(['isk', 'ugx'])

/**
 * The smallest amounts that Stripe charges, in minor units: the table «Minimum and maximum charge amounts» of docs.stripe.com/currencies,
 * as several public projects had copied it by autumn 2026. Its currencies at half a main unit (ARS, BRL, COP, IDR, ILS, INR, PHP, RUB,
 * ZAR) are left out: that is what every other is held to. Of those that the table does not name no figure is known (ISK, UGX, KWD, CLP,
 * VND, …). A charge that Stripe converts for the account's bank must come to that currency's minimum too, which nothing here knows.
 */
const minimums: Record<string, bigint> = {
  aed: 200n,
  aud: 50n,
  cad: 50n,
  chf: 50n,
  czk: 1_500n,
  dkk: 250n,
  eur: 50n,
  gbp: 30n,
  hkd: 400n,
  huf: 17_500n,
  jpy: 50n,
  krw: 50n,
  mxn: 1_000n,
  myr: 200n,
  nok: 300n,
  nzd: 50n,
  pln: 200n,
  ron: 200n,
  sek: 300n,
  sgd: 50n,
  thb: 1_000n,
  usd: 50n,
}

export const isCurrency = (text: string): boolean => /^[a-z]{3}$/.test(text)

/** Digits behind the point of a currency's amounts: 0 (JPY), 2 (USD) or 3 (KWD). */
export function minorDigits(currency: string): number {
  if (zeroDecimal.has(currency)) return 0
  return threeDecimal.has(currency) ? 3 : 2
}

/** 1e-12 units per minor unit: 10^10 for cents. */
export const picoPerMinor = (currency: string): Pico => 10n ** BigInt(12 - minorDigits(currency))

/** Minor units that an amount must be a multiple of: Stripe takes three-decimal currencies in tens only, and two others in hundreds. */
export const minorStep = (currency: string): bigint =>
  wholeInHundredths.has(currency) ? 100n : threeDecimal.has(currency) ? 10n : 1n

/** What Stripe charges at least, in minor units. */
export function minimumCharge(currency: string): bigint {
  const half = 10n ** BigInt(minorDigits(currency)) / 2n
  const step = minorStep(currency)
  return minimums[currency] ?? (half < step ? step : half)
}

/** What makes a bill of what is owed in a currency. It is kept with each invoice: this table may change, what was billed does not. */
export interface CurrencyRules {
  /** Digits behind the point. */
  digits: number
  /** Minor units that an amount is a multiple of. */
  step: bigint
  /** Least charge, in minor units. */
  minimum: bigint
}

export const currencyRules = (currency: string): CurrencyRules => ({
  digits: minorDigits(currency),
  step: minorStep(currency),
  minimum: minimumCharge(currency),
})

const halfUnit: CurrencyRules = { digits: 2, step: 1n, minimum: 50n }
const wholeUnits: CurrencyRules = { digits: 0, step: 1n, minimum: 1n }

/** Rules that held for a currency before invoices kept theirs; the others had today's from the beginning. */
export const formerRules: Readonly<Partial<Record<string, CurrencyRules>>> = {
  ...{ aed: halfUnit, czk: halfUnit, huf: halfUnit, myr: halfUnit, ron: halfUnit, thb: halfUnit },
  ...{ isk: halfUnit, ugx: wholeUnits, krw: wholeUnits },
}

const symbols: Record<string, string> = { usd: '$', eur: '€', gbp: '£', jpy: '¥' }

/** An amount of minor units in words: `$12.34`, `¥1,200`, `KWD 1.230`. */
export function displayMinor(amount: bigint, currency: string): string {
  const digits = minorDigits(currency)
  const text = (amount < 0n ? -amount : amount).toString().padStart(digits + 1, '0')
  const whole = BigInt(digits ? text.slice(0, -digits) : text).toLocaleString('en-US')
  const fraction = digits ? `.${text.slice(-digits)}` : ''
  return `${amount < 0n ? '−' : ''}${symbols[currency] ?? `${currency.toUpperCase()} `}${whole}${fraction}`
}

/** An exact amount to its last digit, at least the currency's own: `$0.012345678901`, `¥3`. */
export function displayExact(amount: Pico, currency: string): string {
  const text = (amount < 0n ? -amount : amount).toString().padStart(13, '0')
  const whole = BigInt(text.slice(0, -12)).toLocaleString('en-US')
  const fraction = text.slice(-12).replace(/0+$/, '').padEnd(minorDigits(currency), '0')
  const sign = amount < 0n ? '−' : ''
  return `${sign}${symbols[currency] ?? `${currency.toUpperCase()} `}${whole}${fraction ? `.${fraction}` : ''}`
}

/** An amount to read: in whole minor units, and exact where it is less than one. */
export function displayAmount(amount: Pico, currency: string): string {
  const unit = picoPerMinor(currency)
  const size = amount < 0n ? -amount : amount
  return size > 0n && size < unit
    ? displayExact(amount, currency)
    : displayMinor(divideHalfEven(amount, unit), currency)
}

/** A price of any precision, as decimal text, to its last digit: `$0.0000125`. */
export function displayPrice(price: string, currency: string): string {
  const [whole = '0', fraction = ''] = price.split('.')
  const kept = fraction.replace(/0+$/, '').padEnd(minorDigits(currency), '0')
  return `${symbols[currency] ?? `${currency.toUpperCase()} `}${BigInt(whole).toLocaleString('en-US')}${kept ? `.${kept}` : ''}`
}

/** What reckons with USD: modes by what providers charge, credits, and a plan's key fee. A workspace that is billed in another currency cannot have them. */
const dollarModes = new Set(['tier_margin', 'markup', 'credits', 'key_fee'])
export const needsDollars = (chargeMode: string): boolean => dollarModes.has(chargeMode)
