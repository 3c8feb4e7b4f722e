import { Anchor, Button, Group, Text } from '@mantine/core'
import { Link } from '@remix-run/react'
import type { ReactNode } from 'react'
import { type Column, DataTable } from '#app/ui/data-table.tsx'
import { Empty, Panel } from '#app/ui/page.tsx'
import type { AnalyticsView, CallLine } from './analytics-view.ts'

const columns: Column[] = [
  { label: 'Time (UTC)' },
  { label: 'Surface and key' },
  { label: 'Model' },
  { label: 'Tokens in', numeric: true },
  { label: 'Tokens out', numeric: true },
  { label: 'Raw cost', numeric: true },
  { label: 'Tier price', numeric: true },
  { label: 'Charge', numeric: true },
  { label: 'Status' },
]

const statusColors = { none: 'gray.9', failed: 'red.9', held: 'orange.9' } as const

function WithNote({ children, note, wraps = false }: { children: ReactNode; note: string | null; wraps?: boolean }) {
  return (
    <>
      {children}
      {note && (
        <Text size="xs" c="gray.7" style={wraps ? undefined : { whiteSpace: 'nowrap' }}>
          {note}
        </Text>
      )}
    </>
  )
}

const toCells = (call: CallLine): ReactNode[] => [
  <Anchor key="at" component={Link} to={call.to} inherit style={{ whiteSpace: 'nowrap' }}>
    {call.at}
  </Anchor>,
  <WithNote key="surface" note={call.key}>
    {call.surface}
  </WithNote>,
  <WithNote key="model" note={call.modelNote} wraps>
    {call.model}
  </WithNote>,
  <WithNote key="input" note={call.inputNote}>
    {call.input}
  </WithNote>,
  <WithNote key="output" note={call.outputNote}>
    {call.output}
  </WithNote>,
  call.rawCost,
  call.tierPrice,
  <WithNote key="charge" note={call.chargeNote}>
    {call.charge}
  </WithNote>,
  <WithNote key="status" note={call.latency}>
    <Text span inherit c={statusColors[call.trouble]}>
      {call.trouble === 'held' ? 'Held: cost unknown' : call.status}
    </Text>
  </WithNote>,
]

function NoCalls({ view }: { view: AnalyticsView }) {
  if (view.narrowed)
    return (
      <Empty title="No calls match">
        Choose other days, or clear the filters to see every call of the last 30 days.
      </Empty>
    )
  return (
    <Empty title="No calls in these days">
      Point any OpenAI client at this site with a gateway token: owners and developers make them in Settings → Gateway
      tokens. Calls show up here as soon as they end.
    </Empty>
  )
}

/** Every call of the range, newest first. */
export function CallsPanel({ view }: { view: AnalyticsView }) {
  return (
    <Panel
      title="Calls"
      note="Every call, whoever's key paid. Open one for its receipt."
      actions={
        <Button component="a" href={view.csv} variant="default" size="xs" download>
          Download CSV
        </Button>
      }
    >
      {view.calls.length ? (
        <DataTable
          caption="Calls, newest first"
          columns={columns}
          rows={view.calls.map((call) => ({ key: call.id, cells: toCells(call) }))}
        />
      ) : (
        <NoCalls view={view} />
      )}
      {(view.older || view.newest) && (
        <Group justify="center" mt="md">
          {view.newest && (
            <Button component={Link} to={view.newest} variant="default" size="xs">
              Newest
            </Button>
          )}
          {view.older && (
            <Button component={Link} to={view.older} variant="default" size="xs">
              Older calls
            </Button>
          )}
        </Group>
      )}
    </Panel>
  )
}
