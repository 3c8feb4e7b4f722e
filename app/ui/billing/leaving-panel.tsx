import { Alert, List, Text } from '@mantine/core'
import { DataTable } from '#app/ui/data-table.tsx'
import { Panel } from '#app/ui/page.tsx'
import type { LeavingView } from './leaving-view.ts'

/** What a scheduled change of plan will destroy, while it can still be taken back. */
export function LeavingPanel({ view }: { view: LeavingView }) {
  return (
    <Panel title={view.title} note={`On ${view.at}. Staying on the plan, or coming back before then, keeps the keys.`}>
      <Alert color="yellow" c="gray.9" mb="md" title="These keys are destroyed then, and cannot be brought back">
        <List size="sm">
          {view.keys.map((key) => (
            <List.Item key={key}>{key}</List.Item>
          ))}
        </List>
      </Alert>
      <Text size="sm" mb="sm">
        {view.moves} {view.cost}
      </Text>
      {view.surfaces.length > 0 && (
        <DataTable
          caption="Surfaces whose calls these keys carried in the last 30 days, busiest first"
          columns={[{ label: 'Surface' }, { label: 'Calls in 30 days', numeric: true }]}
          rows={view.surfaces.map(({ name, calls }) => ({ key: name, cells: [name, calls] }))}
        />
      )}
    </Panel>
  )
}
