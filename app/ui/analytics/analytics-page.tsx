import { Alert, Box, Paper, SimpleGrid, Text } from '@mantine/core'
import { DataTable } from '#app/ui/data-table.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'
import { RefusedAddress } from '#app/ui/refusal.tsx'
import { type AnalyticsView, type Card, filterFields, type RefusedView, type Share } from './analytics-view.ts'
import { ByDay } from './by-day.tsx'
import { CallsPanel } from './calls-panel.tsx'
import { FilterForm } from './filter-form.tsx'
import { MeteredPanel } from './metered-panel.tsx'
import type { MeteredView } from './metered-view.ts'

function Figure({ card }: { card: Card }) {
  return (
    <Paper withBorder p="md">
      <Text size="sm" c="gray.7">
        {card.label}
      </Text>
      <Text fz={26} fw={650} lh={1.3} style={{ fontVariantNumeric: 'tabular-nums' }}>
        {card.value}
      </Text>
      <Text size="xs" c="gray.7">
        {card.note}
      </Text>
    </Paper>
  )
}

function Shares({ what, rows }: { what: string; rows: Share[] }) {
  const title = `By ${what.toLowerCase()}`
  return (
    <Panel title={title}>
      <DataTable
        caption={title}
        columns={[{ label: what }, { label: 'Calls', numeric: true }, { label: 'Charge', numeric: true }]}
        rows={rows.map((row) => ({ key: row.name, cells: [row.name, row.calls, row.charge] }))}
      />
    </Panel>
  )
}

/** The form alone, with what it asked for and the field that is wrong. */
export function RefusedAnalytics({ view }: { view: RefusedView }) {
  return (
    <>
      <PageHeading title="LLM analytics" />
      <RefusedAddress refusal={view.refusal} fields={filterFields} />
      <FilterForm view={view} refusal={view.refusal} />
    </>
  )
}

export function AnalyticsPage({ view, metered }: { view: AnalyticsView; metered: MeteredView }) {
  const empty = view.shares.every((share) => share.rows.length === 0)
  return (
    <>
      <PageHeading title="LLM analytics">{view.range}, days in UTC.</PageHeading>
      <Box mb="lg">
        <FilterForm view={view} />
      </Box>
      {view.invoiceNote && (
        <Alert color="indigo" mb="lg">
          {view.invoiceNote}
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, xs: 2, lg: 4 }} mb="lg">
        {view.cards.map((card) => (
          <Figure key={card.label} card={card} />
        ))}
      </SimpleGrid>
      {!empty && <ByDay days={view.days} />}
      {!empty && (
        <SimpleGrid cols={{ base: 1, lg: 3 }} spacing="lg">
          {view.shares.map((share) => (
            <Shares key={share.what} {...share} />
          ))}
        </SimpleGrid>
      )}
      <MeteredPanel view={metered} />
      <CallsPanel view={view} />
    </>
  )
}
