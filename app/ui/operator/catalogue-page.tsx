import { Anchor, Button, Code, Text } from '@mantine/core'
import { Form, Link, useNavigation } from '@remix-run/react'
import { type Answer, AnswerNotice } from '#app/ui/answer-notice.tsx'
import { type Column, DataTable, type Row } from '#app/ui/data-table.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'

export type CatalogueAnswer = Answer<{ message: string }>

export interface CatalogueView {
  presets: { id: string; name: string; changes: string[] }[]
  plans: {
    id: string
    name: string
    keys: string
    platform: string
    own: string
    products: string[]
    workspaces: string
  }[]
  addOns: string[]
  books: {
    version: string
    title: string
    /** Which calls it prices, in sentences. */
    standing: string[]
    prices: { tier: string; input: string; output: string }[]
    meters: { id: string; name: string; price: string }[]
  }[]
  models: { id: string; name: string; tier: string; input: string; output: string; context: string }[]
  surfaces: { id: string; name: string; kind: string }[]
}

function Listing({ caption, columns, rows }: { caption: string; columns: Column[]; rows: Row[] }) {
  return <DataTable caption={caption} columns={columns} rows={rows} />
}

const prices: Column[] = [
  { label: 'Input, per million tokens', numeric: true },
  { label: 'Output, per million tokens', numeric: true },
]

function LoadPreset({ preset }: { preset: CatalogueView['presets'][number] }) {
  const busy = useNavigation().formData?.get('preset') === preset.id
  return (
    <Form method="post" preventScrollReset>
      <input type="hidden" name="intent" value="load-preset" />
      <input type="hidden" name="preset" value={preset.id} />
      <Button type="submit" variant="default" size="xs" loading={busy} aria-label={`Load ${preset.name}`}>
        Load
      </Button>
    </Form>
  )
}

/** Of a long list of changes the first ones, and how many there are. */
const mostChanges = 4

function Presets({ presets }: { presets: CatalogueView['presets'] }) {
  return (
    <Listing
      caption="Presets that come with this version"
      columns={[{ label: 'Preset' }, { label: 'Loading it' }, { label: '' }]}
      rows={presets.map((preset) => ({
        key: preset.id,
        cells: [
          preset.name,
          <Text key="changes" size="sm">
            {preset.changes.length ? preset.changes.slice(0, mostChanges).join('; ') : 'changes nothing'}
            {preset.changes.length > mostChanges && `; and ${preset.changes.length - mostChanges} more`}
          </Text>,
          preset.changes.length ? <LoadPreset key="load" preset={preset} /> : null,
        ],
      }))}
    />
  )
}

export function CataloguePage({ view, answer }: { view: CatalogueView; answer: CatalogueAnswer | undefined }) {
  return (
    <>
      <PageHeading title="Catalogue">
        It is data: load a preset here, or a file of your own by npm run catalogue:load. It takes effect within a
        minute. Versions of the price book hold side by side, each for the prices that it names; a call is priced by the
        one in force when it is sent. They are drafted and published in the{' '}
        <Anchor component={Link} to="/operator/price-book" inherit>
          price book
        </Anchor>
        .
      </PageHeading>
      <AnswerNotice answer={answer} success={answer?.ok ? answer.message : null} />
      <Panel
        title="Presets"
        note="Plans, surfaces, models and first prices of the five products. Loading one again changes nothing, and never a price that was published."
      >
        <Presets presets={view.presets} />
      </Panel>
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
        {view.addOns.length > 0 && (
          <Text size="sm" mt="md">
            Sold beside plans: {view.addOns.join(', ')}
          </Text>
        )}
      </Panel>
      {view.books.map((book) => (
        <Panel key={book.version} title={book.title} note={book.standing.join(' ')}>
          {book.prices.length > 0 && (
            <Listing
              caption={`Tiers of ${book.title}`}
              columns={[{ label: 'Tier' }, ...prices]}
              rows={book.prices.map((price) => ({ key: price.tier, cells: [price.tier, price.input, price.output] }))}
            />
          )}
          {book.meters.length > 0 && (
            <Listing
              caption={`Meters of ${book.title}`}
              columns={[{ label: 'Meter' }, { label: 'Id' }, { label: 'Price', numeric: true }]}
              rows={book.meters.map((meter) => ({
                key: meter.id,
                cells: [meter.name, <Code key="id">{meter.id}</Code>, meter.price],
              }))}
            />
          )}
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
