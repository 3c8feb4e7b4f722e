import { Alert, Button, Text } from '@mantine/core'
import { Form, useNavigation } from '@remix-run/react'
import type { ReactNode } from 'react'
import { type Answer, AnswerNotice } from '#app/ui/answer-notice.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import { utcMinute } from '#app/ui/time.ts'

export interface HealthView {
  jobs: {
    id: string
    name: string
    state: 'failed' | 'failing' | 'running' | 'waiting'
    attempts: number
    maxAttempts: number
    lastError: string | null
    runAt: string
  }[]
  processes: { id: string; kind: string; host: string; startedAt: string; silentS: number; alive: boolean }[]
  alerts: {
    id: string
    kind: string
    workspaceName: string | null
    message: string
    raisedAt: string
    lastSeenAt: string
    occurrences: number
  }[]
}

export type HealthAnswer = Answer<{ message: string }>

const jobStates = {
  failed: ['Failed for good', 'red'],
  failing: ['Failing, tries again', 'yellow'],
  running: ['Running', 'teal'],
  waiting: ['Waiting', 'gray'],
} as const

interface OneButtonProps {
  intent: string
  id: string
  label: string
  children: ReactNode
}

function OneButton({ intent, id, label, children }: OneButtonProps) {
  const data = useNavigation().formData
  return (
    <Form method="post" preventScrollReset>
      <input type="hidden" name="intent" value={intent} />
      <input type="hidden" name="id" value={id} />
      <Button
        type="submit"
        variant="default"
        size="xs"
        aria-label={label}
        loading={data?.get('intent') === intent && data.get('id') === id}
      >
        {children}
      </Button>
    </Form>
  )
}

function Alerts({ alerts }: Pick<HealthView, 'alerts'>) {
  if (!alerts.length) return <Empty title="No open alerts">Whatever needs a human shows up here.</Empty>
  return alerts.map((alert) => (
    <Alert
      key={alert.id}
      color="yellow"
      c="gray.9"
      mb="sm"
      title={alert.workspaceName ?? alert.kind.replaceAll('_', ' ')}
    >
      <Text size="sm">{alert.message}</Text>
      <Text size="xs" c="gray.7" my={6}>
        Since {utcMinute(alert.raisedAt)}, last seen {utcMinute(alert.lastSeenAt)}
        {alert.occurrences > 1 && `, ${alert.occurrences} times`}
      </Text>
      <OneButton intent="resolve-alert" id={alert.id} label={`Resolve: ${alert.message}`}>
        Resolve
      </OneButton>
    </Alert>
  ))
}

function Jobs({ jobs }: Pick<HealthView, 'jobs'>) {
  if (!jobs.length) return <Empty title="No jobs">Nothing waits and nothing failed.</Empty>
  return (
    <DataTable
      caption="Jobs that are not done, failed ones first"
      columns={[
        { label: 'Job' },
        { label: 'State' },
        { label: 'Tries', numeric: true },
        { label: 'Runs at' },
        { label: 'Last error' },
        { label: '' },
      ]}
      rows={jobs.map((job) => {
        const [name, tone] = jobStates[job.state]
        const again = job.state === 'waiting' ? 'Run now' : 'Retry'
        return {
          key: job.id,
          cells: [
            `${job.name} #${job.id}`,
            <StatusBadge key="state" tone={tone}>
              {name}
            </StatusBadge>,
            `${job.attempts} of ${job.maxAttempts}`,
            utcMinute(job.runAt),
            job.lastError,
            job.state === 'running' ? null : (
              <OneButton key="retry" intent="retry-job" id={job.id} label={`${again} ${job.name} #${job.id}`}>
                {again}
              </OneButton>
            ),
          ],
        }
      })}
    />
  )
}

/** Whole, as logs have it. The queue's own names say already that they are workers'. */
const nameOf = ({ kind, id }: HealthView['processes'][number]): string => (id.startsWith(kind) ? id : `${kind} ${id}`)

export function HealthPage({ view, answer }: { view: HealthView; answer: HealthAnswer | undefined }) {
  return (
    <>
      <PageHeading title="Jobs and alerts">What runs behind the pages, and what needs you.</PageHeading>
      <AnswerNotice answer={answer} success={answer?.ok ? answer.message : null} />
      <Panel title="Open alerts">
        <Alerts alerts={view.alerts} />
      </Panel>
      <Panel
        title="Jobs"
        note="Failed for good: all tries are used up. Correct what its last error names, then retry: that gives it all its tries back and runs it now."
      >
        <Jobs jobs={view.jobs} />
      </Panel>
      <Panel
        title="Processes"
        note="Each says every five seconds that it lives. The work of one that falls silent for a minute is taken over."
      >
        {view.processes.some((process) => process.kind === 'worker' && process.alive) ? null : (
          <Alert color="red" mb="md">
            No worker is alive: jobs wait, months are not closed. Start one with npm run start:worker.
          </Alert>
        )}
        <DataTable
          caption="Processes"
          columns={[
            { label: 'Process' },
            { label: 'Host' },
            { label: 'Started' },
            { label: 'Last heard of', numeric: true },
            { label: 'State' },
          ]}
          rows={view.processes.map((process) => ({
            key: process.id,
            cells: [
              <span key="process" style={{ overflowWrap: 'anywhere' }}>
                {nameOf(process)}
              </span>,
              process.host,
              utcMinute(process.startedAt),
              `${process.silentS} s ago`,
              <StatusBadge key="state" tone={process.alive ? 'teal' : 'red'}>
                {process.alive ? 'Alive' : 'Silent'}
              </StatusBadge>,
            ],
          }))}
        />
      </Panel>
    </>
  )
}
