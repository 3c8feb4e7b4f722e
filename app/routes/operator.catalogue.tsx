import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { listPresets, loadPreset } from '#app/domain/operations/presets.server.ts'
import { readOperatorCatalogue } from '#app/domain/operations/queries.server.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { type CatalogueAnswer, CataloguePage, type CatalogueView } from '#app/ui/operator/catalogue-page.tsx'
import { toCatalogueView } from '#app/ui/operator/catalogue-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Catalogue · Keymargin' }]

export const loader = operatorLoader(async (ctx) =>
  toCatalogueView(await readOperatorCatalogue(ctx), await listPresets(ctx), ctx.now()),
)

export const action = operatorAction({
  'load-preset': intent({
    demand: 'operate:Platform',
    schema: z.strictObject({ preset: z.string().max(40) }),
    run: async (ctx, { preset }) => {
      await loadPreset(ctx, preset)
      return { message: 'Loaded. It takes effect within a minute.' }
    },
  }),
})

export default function Catalogue() {
  return <CataloguePage view={useLoaderData<CatalogueView>()} answer={useActionData<CatalogueAnswer>()} />
}
