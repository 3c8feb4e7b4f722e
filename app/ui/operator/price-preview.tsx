import { Text } from '@mantine/core'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty } from '#app/ui/page.tsx'
import type { PriceBookView } from './price-book-view.ts'

/** A month under a draft's prices: what each workspace was charged, and what it would have been. */
export function PricePreview({ preview }: { preview: NonNullable<PriceBookView['preview']> }) {
  const { rows, total, notes } = preview
  if (!rows.length) return <Empty title="No calls in that month">Nothing would have been charged differently.</Empty>
  const rerates = total.rerate !== null
  return (
    <>
      <DataTable
        caption={`${preview.month} under price book ${preview.version}`}
        columns={[
          { label: 'Workspace' },
          { label: 'Calls', numeric: true },
          { label: 'Priced by it', numeric: true },
          { label: 'As charged', numeric: true },
          { label: 'Under this draft', numeric: true },
          { label: 'Difference', numeric: true },
          ...(rerates ? [{ label: 'By a re-rate run', numeric: true }] : []),
        ]}
        rows={rows.map((row) => ({
          key: row.id,
          cells: [
            ...[row.workspace, row.calls, row.priced, row.before, row.after, row.difference],
            ...(rerates ? [row.rerate] : []),
          ],
        }))}
        footer={[
          ...['Total', null, null, total.before, total.after, total.difference],
          ...(rerates ? [total.rerate] : []),
        ]}
      />
      {notes.map((note) => (
        <Text key={note} size="sm" mt="xs">
          {note}
        </Text>
      ))}
    </>
  )
}
