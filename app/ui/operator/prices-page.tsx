import { Button, Code, Group, NativeSelect, SimpleGrid, Text, TextInput } from '@mantine/core'
import { Form, Link, useSearchParams } from '@remix-run/react'
import { type Answer, AnswerNotice, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import { AskButton, ConfirmDialog } from '#app/ui/confirm-dialog.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import type { PricesView } from './prices-view.ts'

export type PricesAnswer = Answer<{ message: string }>

const amounts = [
  ['input', 'Input', true],
  ['output', 'Output', true],
  ['cacheRead', 'Cache read (optional)', false],
  ['cacheWrite', 'Cache write (optional)', false],
] as const
const fields = ['provider', 'model', 'note', ...amounts.map(([name]) => name)]

function Unpriced({ rows }: { rows: PricesView['unpriced'] }) {
  if (!rows.length)
    return (
      <Empty title="Every model that was called has a price">
        One without a price is listed here from its first call on.
      </Empty>
    )
  return (
    <DataTable
      caption="Models without a price, or with use that their price does not hold, those called most first"
      columns={[
        { label: 'Provider' },
        { label: 'Model' },
        { label: 'Missing' },
        { label: 'Calls', numeric: true },
        { label: 'Since' },
        { label: 'Last' },
        { label: '' },
      ]}
      rows={rows.map((row) => ({
        key: `${row.provider} ${row.model}`,
        cells: [
          row.providerName,
          <Code key="model">{row.model}</Code>,
          row.missing || 'its price',
          row.calls,
          row.since,
          row.last,
          row.missing ? (
            <Button key="enter" component={Link} to="/operator/reconciliation" variant="default" size="xs">
              Enter costs
            </Button>
          ) : (
            <Button
              key="set"
              component={Link}
              to={`?${new URLSearchParams({ provider: row.provider, model: row.model })}#set-price`}
              variant="default"
              size="xs"
            >
              Set a price
            </Button>
          ),
        ],
      }))}
    />
  )
}

function PriceForm({ view, answer }: { view: PricesView; answer: PricesAnswer | undefined }) {
  const { provider, model } = view.start
  return (
    <Form method="post" id="set-price" key={`${provider} ${model} ${answer?.ok}`} preventScrollReset>
      <input type="hidden" name="intent" value="set-price" />
      <SimpleGrid cols={{ base: 1, sm: 2, md: 3 }} spacing="sm" maw={860}>
        <NativeSelect name="provider" label="Provider" data={view.choices} defaultValue={provider} />
        <TextInput
          name="model"
          label="Model, as the provider calls it"
          defaultValue={model}
          error={fieldError(answer, 'model')}
          required
          withAsterisk={false}
          autoComplete="off"
        />
        <TextInput name="note" label="Note (optional)" error={fieldError(answer, 'note')} autoComplete="off" />
        {amounts.map(([name, label, required]) => (
          <TextInput
            key={name}
            name={name}
            label={label}
            description="USD per million tokens"
            inputMode="decimal"
            error={fieldError(answer, name)}
            required={required}
            withAsterisk={false}
            autoComplete="off"
          />
        ))}
      </SimpleGrid>
      <Button type="submit" mt="sm">
        Set price
      </Button>
    </Form>
  )
}

function Overrides({ rows }: { rows: PricesView['overrides'] }) {
  if (!rows.length) return <Text size="sm">None: every price comes from a provider’s list or the public tables.</Text>
  return (
    <DataTable
      caption="Your own prices, USD per million tokens"
      columns={[
        { label: 'Provider' },
        { label: 'Model' },
        { label: 'Input', numeric: true },
        { label: 'Output', numeric: true },
        { label: 'Cache read', numeric: true },
        { label: 'Cache write', numeric: true },
        { label: 'Note' },
        { label: 'Set' },
        { label: '' },
      ]}
      rows={rows.map((row) => ({
        key: `${row.provider} ${row.model}`,
        cells: [
          row.providerName,
          <Code key="model">{row.model}</Code>,
          row.input,
          row.output,
          row.cacheRead,
          row.cacheWrite,
          row.note,
          row.set,
          <AskButton
            key="delete"
            ask={['delete', `${row.provider} ${row.model}`]}
            label={`Delete the price of ${row.model}`}
          >
            Delete
          </AskButton>,
        ],
      }))}
    />
  )
}

function Catalogues({ view }: { view: PricesView }) {
  return (
    <>
      <DataTable
        caption="Price lists that providers publish"
        columns={[{ label: 'Provider' }, { label: 'Models with a price', numeric: true }, { label: 'Fetched' }]}
        rows={view.catalogues.map((row) => ({ key: row.provider, cells: [row.provider, row.models, row.age] }))}
      />
      <Group mt="md" gap="sm">
        <Form method="post" preventScrollReset>
          <input type="hidden" name="intent" value="refresh-catalogues" />
          <Button type="submit" variant="default" size="xs">
            Refresh now
          </Button>
        </Form>
      </Group>
      <Text size="sm" c="gray.7" mt="md" maw={760}>
        No list of prices is kept of {view.unlisted}: their models are priced by the public tables, or by you.
      </Text>
    </>
  )
}

/** Where raw costs come from that providers do not report: what is missing, what operators set, how old the lists are. */
export function PricesPage({ view, answer }: { view: PricesView; answer: PricesAnswer | undefined }) {
  const [params] = useSearchParams()
  const asked = view.overrides.find((row) => `${row.provider} ${row.model}` === params.get('delete'))
  return (
    <>
      <PageHeading title="Prices">
        What providers charge for models, where they do not report it with the reply. A model that nobody knows the
        price of has an unknown cost, which is not zero: its calls are never billed as if they had cost nothing.
      </PageHeading>
      <AnswerNotice answer={answer} fields={fields} success={answer?.ok ? answer.message : null} />
      <Panel title="Models without a price">
        <Unpriced rows={view.unpriced} />
      </Panel>
      <Panel
        title="Set a price"
        note="It holds before every list, from the next call on. Calls of the past keep the prices that stand in them."
      >
        <PriceForm view={view} answer={answerTo(answer, 'set-price')} />
      </Panel>
      <Panel title="Your own prices" note="USD per million tokens, stored exactly per token.">
        <Overrides rows={view.overrides} />
      </Panel>
      <Panel title="Providers’ price lists">
        <Catalogues view={view} />
      </Panel>
      {asked && (
        <ConfirmDialog
          title={`Delete the price of ${asked.model}?`}
          intent="remove-price"
          fields={{ provider: asked.provider, model: asked.model }}
          confirm="Delete price"
        >
          <Text size="sm">
            From the next call on, {asked.providerName}’s list or the public tables decide. Where neither knows the
            model, the cost of its calls is unknown. Calls so far keep the price that stands in them.
          </Text>
        </ConfirmDialog>
      )}
    </>
  )
}
