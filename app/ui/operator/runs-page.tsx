import { Alert, Button, Group, NativeSelect, Text, TextInput } from '@mantine/core'
import { Form, useNavigation } from '@remix-run/react'
import { type Answer, AnswerNotice } from '#app/ui/answer-notice.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import { StatusBadge, type Tone } from '#app/ui/status-badge.tsx'

export interface RunRow {
  id: string
  workspaceId: string
  workspace: string
  month: string
  state: string
  stateName: string
  tone: Tone
  number: string
  calls: string
  exact: string
  total: string
  reason: string | null
  remedy: string | null
}

export interface RunsView {
  filter: { month: string; state: string }
  states: { value: string; label: string }[]
  months: { month: string; name: string; counts: string }[]
  runs: RunRow[]
}

export type ReleaseAnswer = Answer<{ message: string }>

function Held({ run }: { run: RunRow }) {
  const busy = useNavigation().formData?.get('runId') === run.id
  return (
    <Alert color="yellow" c="gray.9" mb="sm" title={`${run.workspace}, ${run.month}: held`}>
      <Text size="sm">{run.remedy ?? 'See the detail, correct the cause, then release the run.'}</Text>
      {run.reason && (
        <Text size="xs" c="gray.7" mt={4}>
          {run.reason}
        </Text>
      )}
      <Form method="post" preventScrollReset>
        <input type="hidden" name="intent" value="release-run" />
        <input type="hidden" name="workspaceId" value={run.workspaceId} />
        <input type="hidden" name="runId" value={run.id} />
        <Button type="submit" mt="sm" size="xs" loading={busy} aria-label={`Release ${run.workspace}, ${run.month}`}>
          Release
        </Button>
      </Form>
    </Alert>
  )
}

function RunFilter({ view }: { view: RunsView }) {
  return (
    <Form method="get">
      <Group align="flex-end" gap="sm" mb="lg">
        <TextInput label="Month" name="month" type="month" defaultValue={view.filter.month} />
        <NativeSelect label="State" name="state" defaultValue={view.filter.state}>
          <option value="">All states</option>
          {view.states.map((state) => (
            <option key={state.value} value={state.value}>
              {state.label}
            </option>
          ))}
        </NativeSelect>
        <Button type="submit">Apply</Button>
      </Group>
    </Form>
  )
}

export function RunsPage({ view, answer }: { view: RunsView; answer: ReleaseAnswer | undefined }) {
  const held = view.runs.filter((run) => run.state === 'held')
  return (
    <>
      <PageHeading title="Invoice runs">One run closes one workspace's UTC month. Held runs wait for you.</PageHeading>
      <AnswerNotice answer={answer} success={answer?.ok ? answer.message : null} />
      {held.map((run) => (
        <Held key={run.id} run={run} />
      ))}
      <RunFilter view={view} />
      {view.runs.length === 0 ? (
        <Panel>
          <Empty title="No runs here">
            Months are closed on their own some days after they end; by hand with npm run billing:close -- --month
            YYYY-MM.
          </Empty>
        </Panel>
      ) : (
        <>
          <Panel title="By month">
            <DataTable
              caption="Runs by month and state"
              columns={[{ label: 'Month' }, { label: 'Runs' }]}
              rows={view.months.map((month) => ({ key: month.month, cells: [month.name, month.counts] }))}
            />
          </Panel>
          <Panel title="Runs">
            <DataTable
              caption="Invoice runs, newest month first"
              columns={[
                { label: 'Month' },
                { label: 'Workspace' },
                { label: 'State' },
                { label: 'Number' },
                { label: 'Calls', numeric: true },
                { label: 'Exact', numeric: true },
                { label: 'Total', numeric: true },
              ]}
              rows={view.runs.map((run) => ({
                key: run.id,
                cells: [
                  run.month,
                  run.workspace,
                  <StatusBadge key="state" tone={run.tone}>
                    {run.stateName}
                  </StatusBadge>,
                  run.number,
                  run.calls,
                  run.exact,
                  run.total,
                ],
              }))}
            />
          </Panel>
        </>
      )}
    </>
  )
}
