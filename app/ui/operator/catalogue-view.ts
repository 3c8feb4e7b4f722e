import type { PresetView } from '#app/domain/operations/presets.server.ts'
import { attoText } from '#app/domain/operations/price-draft.ts'
import type { OperatorCatalogue } from '#app/domain/operations/queries.server.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import { displayPrice } from '#app/domain/pricing/currency.ts'
import type { PriceStanding } from '#app/domain/pricing/price-standing.ts'
import { tiers } from '#app/domain/pricing/pricing.ts'
import { isProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import type { Atto } from '#app/platform/pico.ts'
import { tierName } from '#app/ui/analytics/analytics-view.ts'
import { exactMoney } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'
import type { CatalogueView } from './catalogue-page.tsx'

/** A share of the cost: `5 % of the cost`. */
const share = (basisPoints: number) => `${basisPoints / 100} % of the cost`

const modes = {
  tier: 'tier price',
  credits: 'tier price, from credits',
  flat_fee: 'nothing per call, a fee per month with a key',
  tier_margin: 'margin: tier price less cost, at least $0',
  pass_through: 'nothing: paid to the provider directly',
  none: 'no platform key: an own key is required',
} as const

/** Exact: a unit may cost less than 1e-12 of a currency's main unit. */
const perUnit = (atto: Atto, currency: string): string => displayPrice(attoText(atto), currency)

/** Atto-dollars per token are pico-dollars per million tokens. */
const perMillion = (atto: Atto, currency = 'usd'): string => exactMoney(atto, currency)

function ownMode(plan: PlanRules): string {
  if (plan.allowedProviders.length === 0) return 'no own keys'
  return plan.workspaceChargeMode === 'markup' ? share(plan.workspaceMarkupBp) : modes[plan.workspaceChargeMode]
}

const listed = new Intl.ListFormat('en-GB', { type: 'conjunction' })
const minute = (at: Date): string => utcMinute(at.toISOString())

/** Of a book, in sentences: what it prices now, for whom, since when and until when, and what another version prices in its place. */
export function standingWords(book: OperatorCatalogue['books'][number], now: Date): string[] {
  const { version, effectiveFrom, effectiveUntil, standing, workspaceName } = book
  const currency = book.currency.toUpperCase()
  const inForce = workspaceName
    ? `for ${workspaceName} (${currency}), before the general prices`
    : `for every workspace that is billed in ${currency} and has no price of its own`
  if (effectiveFrom > now) return [`Begins ${minute(effectiveFrom)}, ${inForce}.`]
  if (effectiveUntil && effectiveUntil <= now) return [`Over since ${minute(effectiveUntil)}: it prices no new call.`]
  const nameOf = ({ of }: PriceStanding) =>
    'tier' in of ? tierName(of.tier) : (book.meters[of.meter]?.name ?? of.meter)
  const groups = Map.groupBy(standing, ({ version, until }) => `${version} ${until?.getTime()}`)
  return [...groups.values()].map((prices) => {
    const names = listed.format(prices.map(nameOf))
    const [first] = prices
    const until = first?.until ? `until ${minute(first.until)}` : 'until a later version prices it'
    if (first?.version === version) return `Prices ${names} since ${minute(effectiveFrom)} and ${until}, ${inForce}.`
    return first?.version
      ? `${names}: version ${first.version} holds in its place${first.until ? `, ${until}` : ''}.`
      : `${names}: priced by no version now.`
  })
}

export function toCatalogueView(
  { plans, addOns, books, models, surfaces }: OperatorCatalogue,
  presets: PresetView[],
  now: Date,
): CatalogueView {
  return {
    presets,
    plans: plans.map((plan) => ({
      id: plan.id,
      name: plan.name,
      keys:
        plan.allowedProviders.map((id) => (isProviderId(id) ? providerOf(id).name : 'every provider')).join(', ') ||
        'none',
      platform: plan.platformChargeMode === 'markup' ? share(plan.platformMarkupBp) : modes[plan.platformChargeMode],
      own: ownMode(plan),
      products: plan.products,
      workspaces: String(plan.workspaces),
    })),
    addOns: addOns.map(({ productId, name }) => `${name} (${productId})`),
    books: books.map((book) => ({
      version: String(book.version),
      title: `Price book, version ${book.version}: ${book.workspaceName ? `${book.workspaceName} only` : 'all workspaces'}`,
      standing: standingWords(book, now),
      prices: tiers.flatMap((tier) => {
        const price = book.tiers[tier]
        return price
          ? [
              {
                tier: tierName(tier),
                input: perMillion(price.inputAtto, book.currency),
                output: perMillion(price.outputAtto, book.currency),
              },
            ]
          : []
      }),
      meters: Object.entries(book.meters).map(([id, { name, unit, unitAtto }]) => ({
        id,
        name,
        price: `${perUnit(unitAtto, book.currency)} per ${unit}`,
      })),
    })),
    models: models.map((model) => ({
      id: model.id,
      name: model.name,
      tier: tierName(model.tier),
      input: perMillion(model.list.inputAtto),
      output: perMillion(model.list.outputAtto),
      context: model.contextLength?.toLocaleString('en-US') ?? 'unknown',
    })),
    surfaces: surfaces.map((surface) => ({
      id: surface.id,
      name: surface.name,
      kind: surface.background ? 'always the platform key' : "the workspace's key, where it has one",
    })),
  }
}
