import { Text } from '@mantine/core'
import { DataTable } from '#app/ui/data-table.tsx'
import { Panel } from '#app/ui/page.tsx'
import type { MeteredView } from './metered-view.ts'

const amounts = [
  { label: 'Events', numeric: true },
  { label: 'Quantity', numeric: true },
  { label: 'From credits', numeric: true },
  { label: 'On the invoice', numeric: true },
]

/** What was used beside calls: sandboxes, compute, disk. Not shown where there is none. */
export function MeteredPanel({ view }: { view: MeteredView }) {
  if (!view.rows.length) return null
  return (
    <Panel
      title="Usage that is no call"
      note="Reported by your product’s own programs, and priced by the meters of the price book. Not in the sums above."
    >
      <DataTable
        caption="Usage by meter"
        columns={[{ label: 'Meter' }, ...amounts]}
        rows={view.rows.map((row) => ({
          key: row.key,
          cells: [row.name, row.events, row.quantity, row.credits, row.charge],
        }))}
        footer={['Together', '', '', view.total.credits, view.total.charge]}
      />
      <details>
        <Text component="summary" size="sm" mt="sm">
          By day
        </Text>
        <DataTable
          caption="Usage by day and meter, newest first"
          columns={[{ label: 'Day (UTC)' }, { label: 'Meter' }, ...amounts]}
          rows={view.days.map((row) => ({
            key: row.key,
            cells: [row.day, row.name, row.events, row.quantity, row.credits, row.charge],
          }))}
        />
      </details>
    </Panel>
  )
}
