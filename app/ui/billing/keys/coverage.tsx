import { Alert, Code } from '@mantine/core'
import { DataTable } from '#app/ui/data-table.tsx'
import type { CoverageView } from './keys-view.ts'

/** Which of the models in use a key cannot call: a sentence, and the list. */
export function Coverage({ view }: { view: CoverageView }) {
  return (
    <Alert color={view.tone} c="gray.9" my="sm" role="status" title="What would fail with this key?">
      {view.sentence}
      {view.rows.length > 0 && (
        <DataTable
          caption="Models in use that this key cannot call, busiest first"
          columns={[{ label: 'Model' }, { label: 'Calls in 30 days', numeric: true }, { label: 'Why' }]}
          rows={view.rows.map((row) => ({
            key: row.model,
            cells: [<Code key="model">{row.model}</Code>, row.calls, row.why],
          }))}
        />
      )}
    </Alert>
  )
}
