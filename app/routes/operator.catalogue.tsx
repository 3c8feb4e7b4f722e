import type { MetaFunction } from '@remix-run/node'
import { useLoaderData } from '@remix-run/react'
import { readOperatorCatalogue } from '#app/domain/operations/queries.server.ts'
import { operatorLoader } from '#app/http/route.server.ts'
import { CataloguePage, type CatalogueView } from '#app/ui/operator/catalogue-page.tsx'
import { toCatalogueView } from '#app/ui/operator/catalogue-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Catalogue · Keymargin' }]

export const loader = operatorLoader(async (ctx) => toCatalogueView(await readOperatorCatalogue(ctx)))

export default function Catalogue() {
  return <CataloguePage view={useLoaderData<CatalogueView>()} />
}
