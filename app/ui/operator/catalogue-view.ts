import type { PresetView } from '#app/domain/operations/presets.server.ts'
import { attoText } from '#app/domain/operations/price-draft.ts'
import type { OperatorCatalogue } from '#app/domain/operations/queries.server.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
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

/** Exact, of an atto-dollar price: a unit may cost less than a pico-dollar. */
const perUnit = (atto: Atto): string => `$${attoText(atto)}`

/** Atto-dollars per token are pico-dollars per million tokens. */
const perMillion = (atto: Atto): string => exactMoney(atto)

function ownMode(plan: PlanRules): string {
  if (plan.allowedProviders.length === 0) return 'no own keys'
  return plan.workspaceChargeMode === 'markup' ? share(plan.workspaceMarkupBp) : modes[plan.workspaceChargeMode]
}

export function toCatalogueView(
  { plans, addOns, books, versionsInForce, models, surfaces }: OperatorCatalogue,
  presets: PresetView[],
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
      title: `Price book, version ${book.version}, from ${utcMinute(book.effectiveFrom.toISOString())}${versionsInForce.includes(book.version) ? ', in force' : ''}`,
      prices: tiers.flatMap((tier) => {
        const price = book.tiers[tier]
        return price
          ? [{ tier: tierName(tier), input: perMillion(price.inputAtto), output: perMillion(price.outputAtto) }]
          : []
      }),
      meters: Object.entries(book.meters).map(([id, { name, unit, unitAtto }]) => ({
        id,
        name,
        price: `${perUnit(unitAtto)} per ${unit}`,
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
