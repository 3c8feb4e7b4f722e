import { Alert, Anchor, Button, Group, NativeSelect, Text, TextInput } from '@mantine/core'
import { Form, Link } from '@remix-run/react'
import { type Answer, AnswerNotice, fieldError } from '#app/ui/answer-notice.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import { type Refusal, RefusedAddress, refusalOf } from '#app/ui/refusal.tsx'
import { StatusBadge, type Tone } from '#app/ui/status-badge.tsx'

export interface RunRow {
  id: string
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

/** What the form shows. */
export interface RunFilterView {
  filter: { month: string; state: string }
  states: { value: string; label: string }[]
}

export interface RefusedRunsView extends RunFilterView {
  refusal: Refusal
}

export interface RunsView extends RunFilterView {
  reviewHours: number
  /** What new drafts do. */
  wait: string
  reviews: { id: string; workspace: string; month: string; total: string; before: string; until: string }[]
  months: { month: string; name: string; counts: string }[]
  runs: RunRow[]
}

export type RunsAnswer = Answer<{ message: string }>

function Held({ run }: { run: RunRow }) {
  const state = run.state === 'held' ? 'held' : 'cannot be collected'
  return (
    <Alert color="yellow" c="gray.9" mb="sm" title={`${run.workspace}, ${run.month}: ${state}`}>
      <Text size="sm">{run.remedy ?? 'The Stripe customer was deleted: collect by other means.'}</Text>
      {run.reason && (
        <Text size="xs" c="gray.7" mt={4}>
          {run.reason}
        </Text>
      )}
      <Button
        component={Link}
        to={`/operator/invoices/${run.id}`}
        mt="sm"
        size="xs"
        aria-label={`Resolve ${run.workspace}, ${run.month}`}
      >
        Resolve
      </Button>
    </Alert>
  )
}

function Review({ view, answer }: { view: RunsView; answer: RunsAnswer | undefined }) {
  return (
    <Panel
      title="Review before sending"
      note={`A written draft waits for somebody to look at it, and then is finalised on its own. Drafts that are written from now on ${view.wait}; one in review keeps the time that it was given.`}
    >
      {view.reviews.length > 0 && (
        <DataTable
          caption="Drafts in review"
          columns={[
            { label: 'Workspace' },
            { label: 'Month' },
            { label: 'Total', numeric: true },
            { label: 'Month before', numeric: true },
            { label: 'Goes out' },
          ]}
          rows={view.reviews.map((run) => ({
            key: run.id,
            cells: [
              <Anchor key="run" component={Link} to={`/operator/invoices/${run.id}`} inherit>
                {run.workspace}
              </Anchor>,
              run.month,
              run.total,
              run.before,
              run.until,
            ],
          }))}
        />
      )}
      <Form method="post" preventScrollReset>
        <input type="hidden" name="intent" value="set-review-window" />
        <Group align="flex-end" gap="sm" mt="sm">
          <TextInput
            name="hours"
            label="Hours, for new drafts"
            description="0: they go out at once"
            defaultValue={String(view.reviewHours)}
            inputMode="numeric"
            w={200}
            error={fieldError(answer, 'hours')}
          />
          <Button type="submit" variant="default">
            Set
          </Button>
        </Group>
      </Form>
    </Panel>
  )
}

function RunFilter({ view, refusal }: { view: RunFilterView; refusal?: Refusal }) {
  return (
    <Form method="get">
      <Group align="flex-end" gap="sm" mb="lg">
        <TextInput
          label="Month"
          name="month"
          type="month"
          defaultValue={view.filter.month}
          error={refusalOf(refusal, 'month')}
        />
        <NativeSelect label="State" name="state" defaultValue={view.filter.state} error={refusalOf(refusal, 'state')}>
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

/** The form alone, with the field that is wrong. */
export function RefusedRuns({ view }: { view: RefusedRunsView }) {
  return (
    <>
      <PageHeading title="Invoice runs" />
      <RefusedAddress refusal={view.refusal} fields={['month', 'state']} />
      <RunFilter view={view} refusal={view.refusal} />
    </>
  )
}

export function RunsPage({ view, answer }: { view: RunsView; answer: RunsAnswer | undefined }) {
  const held = view.runs.filter((run) => run.state === 'held' || run.state === 'uncollectable')
  return (
    <>
      <PageHeading title="Invoice runs">One run closes one workspace's UTC month. Held runs wait for you.</PageHeading>
      <AnswerNotice answer={answer} fields={['hours']} success={answer?.ok ? answer.message : null} />
      {held.map((run) => (
        <Held key={run.id} run={run} />
      ))}
      <Review view={view} answer={answer} />
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
                  <Anchor key="run" component={Link} to={`/operator/invoices/${run.id}`} inherit>
                    {run.month}
                  </Anchor>,
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
