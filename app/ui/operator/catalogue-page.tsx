import { Code } from '@mantine/core'
import { type Column, DataTable, type Row } from '#app/ui/data-table.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'

export interface CatalogueView {
  plans: {
    id: string
    name: string
    keys: string
    platform: string
    own: string
    products: string[]
    workspaces: string
  }[]
  books: { version: string; title: string; prices: { tier: string; input: string; output: string }[] }[]
  models: { id: string; name: string; tier: string; input: string; output: string; context: string }[]
  surfaces: { id: string; name: string; kind: string }[]
}

function Listing({ caption, columns, rows }: { caption: string; columns: Column[]; rows: Row[] }) {
  return <DataTable caption={caption} columns={columns} rows={rows} />
}

const prices: Column[] = [
  { label: 'Input, USD per million tokens', numeric: true },
  { label: 'Output, USD per million tokens', numeric: true },
]

export function CataloguePage({ view }: { view: CatalogueView }) {
  return (
    <>
      <PageHeading title="Catalogue">
        Read only here. It is data: change it with a catalogue file, and it takes effect within a minute.
      </PageHeading>
      <Panel title="Plans">
        <Listing
          caption="Plans, lowest first"
          columns={[
            { label: 'Plan' },
            { label: 'Own keys' },
            { label: 'Platform key usage' },
            { label: 'Own key usage' },
            { label: 'Stripe products' },
            { label: 'Workspaces', numeric: true },
          ]}
          rows={view.plans.map((plan) => ({
            key: plan.id,
            cells: [
              plan.name,
              plan.keys,
              plan.platform,
              plan.own,
              <Code key="products">{plan.products.join(', ') || 'none'}</Code>,
              plan.workspaces,
            ],
          }))}
        />
      </Panel>
      {view.books.map((book) => (
        <Panel key={book.version} title={book.title} note="A call is priced by the version in force when it is sent.">
          <Listing
            caption={book.title}
            columns={[{ label: 'Tier' }, ...prices]}
            rows={book.prices.map((price) => ({ key: price.tier, cells: [price.tier, price.input, price.output] }))}
          />
        </Panel>
      ))}
      <Panel
        title="Models"
        note="List prices are the provider's own: they bound a reported cost, they are not what customers pay."
      >
        <Listing
          caption="Models"
          columns={[
            { label: 'Model' },
            { label: 'Id' },
            { label: 'Tier' },
            ...prices,
            { label: 'Context, tokens', numeric: true },
          ]}
          rows={view.models.map((model) => ({
            key: model.id,
            cells: [model.name, <Code key="id">{model.id}</Code>, model.tier, model.input, model.output, model.context],
          }))}
        />
      </Panel>
      <Panel title="Surfaces">
        <Listing
          caption="Surfaces"
          columns={[{ label: 'Surface' }, { label: 'Id' }, { label: 'Key' }]}
          rows={view.surfaces.map((surface) => ({
            key: surface.id,
            cells: [surface.name, <Code key="id">{surface.id}</Code>, surface.kind],
          }))}
        />
      </Panel>
    </>
  )
}
