import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { readPrices } from '#app/domain/operations/read-prices.server.ts'
import { requestCatalogueRefresh } from '#app/domain/operations/request-refresh.server.ts'
import { removePrice, setPrice } from '#app/domain/operations/set-price.server.ts'
import { providerIds } from '#app/domain/providers/provider.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { type PricesAnswer, PricesPage } from '#app/ui/operator/prices-page.tsx'
import { type PricesView, toPricesView } from '#app/ui/operator/prices-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Prices · Keymargin' }]

export const loader = operatorLoader(async (ctx, { request }) => {
  const params = new URL(request.url).searchParams
  const start = { provider: params.get('provider') ?? '', model: params.get('model') ?? '' }
  return toPricesView(await readPrices(ctx), start, ctx.now())
})

const demand = 'operate:Platform' as const
const optional = z.string().default('')

export const action = operatorAction({
  'set-price': intent({
    demand,
    schema: z.strictObject({
      provider: z.enum(providerIds),
      model: z.string(),
      input: z.string(),
      output: z.string(),
      cacheRead: optional,
      cacheWrite: optional,
      note: optional,
    }),
    run: async (ctx, input) => {
      await setPrice(ctx, input)
      return { message: 'Price set. It holds from the next call on, in every process within a minute.' }
    },
  }),
  'remove-price': intent({
    demand,
    schema: z.strictObject({ provider: z.string(), model: z.string() }),
    run: async (ctx, input) => {
      await removePrice(ctx, input)
      return { message: 'Price deleted. The lists decide again.' }
    },
  }),
  'refresh-catalogues': intent({
    demand,
    schema: z.strictObject({}),
    run: async (ctx) => {
      await requestCatalogueRefresh(ctx)
      return { message: 'The lists are being fetched. Reload in a moment.' }
    },
  }),
})

export default function Prices() {
  return <PricesPage view={useLoaderData<PricesView>()} answer={useActionData<PricesAnswer>()} />
}
