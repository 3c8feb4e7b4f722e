import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { setWorkspaceCurrency } from '#app/domain/billing/set-currency.server.ts'
import {
  changeDraft,
  discardDraft,
  draftPrices,
  listPriceBooks,
  readTypedBook,
} from '#app/domain/operations/draft-prices.server.ts'
import { MOST_CALLS_ON_A_PAGE, previewPrices } from '#app/domain/operations/preview-prices.server.ts'
import { publishPrices, publishRerate } from '#app/domain/operations/publish-prices.server.ts'
import { tiers } from '#app/domain/pricing/pricing.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { monthOf, shiftMonth } from '#app/platform/calendar-month.ts'
import { type PriceBookAnswer, PriceBookPage } from '#app/ui/operator/price-book-page.tsx'
import { type PriceBookView, toDraft, toPriceBookView } from '#app/ui/operator/price-book-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Price book · Keymargin' }]

const number = z.string().regex(/^[1-9]\d{0,8}$/, 'must be the number of a price book')
const version = z.strictObject({ version: number.transform(Number) })
const search = z.object({ edit: number.optional(), preview: number.optional(), publish: number.optional() })

export const loader = operatorLoader(async (ctx, { request }) => {
  const asked = search.parse(Object.fromEntries(new URL(request.url).searchParams))
  const books = await listPriceBooks(ctx)
  const typed = asked.edit ? await readTypedBook(ctx, Number(asked.edit)) : null
  const month = shiftMonth(monthOf(ctx.now()), -1)
  const preview = asked.preview
    ? await previewPrices(ctx, { version: Number(asked.preview), month, mostCalls: MOST_CALLS_ON_A_PAGE })
    : null
  return toPriceBookView({ books, typed, preview, asked, now: ctx.now() })
})

const demand = 'operate:Platform' as const
const text = z.string().default('')
const tierFields = Object.fromEntries(
  tiers.flatMap((tier) =>
    ['input', 'output', 'cacheRead', 'cacheWrite', 'bands'].map((name) => [`${tier}.${name}`, text] as const),
  ),
)
const draftForm = z.strictObject({
  version: number.transform(Number),
  currency: text,
  effectiveFrom: text,
  effectiveUntil: text,
  note: text,
  meters: text,
  ...tierFields,
})

export const action = operatorAction({
  draft: intent({
    demand,
    schema: z.strictObject({ workspace: text, currency: text }),
    run: async (ctx, { workspace, currency }) => {
      const made = await draftPrices(ctx, {
        ...(workspace.trim() && { workspace: workspace.trim() }),
        ...(currency.trim() && { currency: currency.trim() }),
      })
      return { message: `Draft ${made} is a copy of what holds now. Nobody is charged by it.` }
    },
  }),
  'change-draft': intent({
    demand,
    schema: draftForm,
    run: async (ctx, fields) => {
      await changeDraft(ctx, fields.version, toDraft(fields as unknown as Record<string, string>))
      return { message: `Draft ${fields.version} is saved.` }
    },
  }),
  'discard-draft': intent({
    demand,
    schema: version,
    run: async (ctx, input) => {
      await discardDraft(ctx, input.version)
      return { message: `Draft ${input.version} is thrown away.` }
    },
  }),
  publish: intent({
    demand,
    schema: version,
    run: async (ctx, input) => {
      await publishPrices(ctx, input.version)
      return { message: `Price book ${input.version} is published. It never changes from now on.` }
    },
  }),
  'publish-rerate': intent({
    demand,
    schema: version,
    run: async (ctx, input) => {
      await publishRerate(ctx, input.version)
      return { message: `Price book ${input.version} is published, and is applied to the past within minutes.` }
    },
  }),
  'set-currency': intent({
    demand,
    schema: z.strictObject({ workspace: z.string(), currency: z.string() }),
    run: async (ctx, { workspace, currency }) => {
      await setWorkspaceCurrency(ctx, { workspace: workspace.trim(), currency: currency.trim().toLowerCase() })
      return { message: `${workspace} is billed in ${currency.toUpperCase()} from the next call on.` }
    },
  }),
})

export default function PriceBook() {
  return <PriceBookPage view={useLoaderData<PriceBookView>()} answer={useActionData<PriceBookAnswer>()} />
}
