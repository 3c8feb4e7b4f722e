import { parsePico, picoToUsd } from '#app/platform/pico.ts'

/** What a workspace decides for its calls. Amounts are exact decimal texts of USD. */
export interface GatewaySettings {
  neverPlatformKey: boolean
  lowBalanceUsd: string
  /** Surfaces that may fall back to the platform key where the provider answers 429 or 5xx. */
  fallbacks: { surface: string; dailyCapUsd: string }[]
}

const mostUsd = parsePico('100000') as bigint

/** An amount that a person typed: `5`, `5.00`, `$5`; above 0 and at most 100,000. Null where it is none. */
export function readTypedUsd(text: string): string | null {
  const pico = parsePico(text.trim().replace(/^\$\s*/, ''))
  return pico !== undefined && pico > 0n && pico <= mostUsd ? picoToUsd(pico) : null
}
