import type { ChargeMode } from '#app/domain/plans/plans.ts'

/** What each charge mode is called where a person reads it. */
export const modeNames: Record<ChargeMode, string> = {
  tier: 'Cost + surcharge',
  tier_margin: 'Margin only',
  markup: 'Markup',
  flat_fee: 'Monthly fee',
  credits: 'Credits',
  pass_through: 'Pass-through',
}

/** `5 %` of 500, `100 %` of 10,000, `0.25 %` of 25. */
export function percentOfBp(basisPoints: number): string {
  const [whole, rest] = [Math.floor(basisPoints / 100), basisPoints % 100]
  return `${whole}${rest ? `.${String(rest).padStart(2, '0').replace(/0$/, '')}` : ''} %`
}

/** What a charge mode asks for, as the formula of one call. */
export function formulaOf(mode: ChargeMode, markupBp: number | null): string {
  switch (mode) {
    case 'tier':
      return 'tokens × the published tier price, on the invoice'
    case 'credits':
      return 'tokens × the published tier price, from credits'
    case 'tier_margin':
      return 'tier price less what the provider charged you, never below $0 for any call'
    case 'markup':
      return markupBp === 10_000
        ? 'what the provider charges, at cost'
        : `${percentOfBp(markupBp ?? 0)} of what the provider charges; of a free model, of the lowest rate anybody pays for it`
    case 'flat_fee':
      return 'nothing per call; a fee per month in which a key is enabled'
    default:
      return 'nothing: your provider bills you'
  }
}
