import { Alert, Anchor, Button, Group, NativeSelect, Text, TextInput } from '@mantine/core'
import { Form, Link, useNavigation } from '@remix-run/react'
import { type Answer, AnswerNotice, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Facts } from '#app/ui/facts.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import type { RunView } from './run-view.ts'

export type RunAnswer = Answer<{ message: string }>

interface Props {
  view: RunView
  answer: RunAnswer | undefined
}

function ResolutionForm({ view, answer, one }: Props & { one: RunView['resolutions'][number] }) {
  const busy = useNavigation().formData?.get('resolution') === one.resolution
  const asksStripe = one.resolution === 'adopt' || one.resolution === 'correct'
  return (
    <Form method="post" preventScrollReset>
      <input type="hidden" name="intent" value={asksStripe ? 'adopt' : 'resolve'} />
      <input type="hidden" name="workspaceId" value={view.workspaceId} />
      <input type="hidden" name="resolution" value={one.resolution} />
      <Group align="flex-end" gap="sm">
        {one.note && (
          <TextInput name="note" label="How it was settled" error={fieldError(answer, 'note')} autoComplete="off" />
        )}
        <Button type="submit" variant="default" loading={busy}>
          {one.label}
        </Button>
      </Group>
    </Form>
  )
}

function Held({ view, answer }: Props) {
  return (
    <Alert color="yellow" c="gray.9" mb="lg" title="What to do">
      <Text size="sm">{view.remedy}</Text>
      {view.detail && (
        <Text size="xs" c="gray.7" mt={4}>
          {view.detail}
        </Text>
      )}
      <Group mt="md" gap="md" align="flex-end">
        {view.resolutions.map((one) => (
          <ResolutionForm key={one.resolution} view={view} answer={answer} one={one} />
        ))}
      </Group>
    </Alert>
  )
}

function Unfinished({ view, answer }: Props) {
  return (
    <Panel
      title="Before it goes out"
      note={`${view.goesOut ? `It is finalised on its own on ${view.goesOut}. ` : ''}Held it stays a draft until somebody resumes it. Approved it is finalised at once.`}
    >
      <Group gap="md" align="flex-end">
        <Form method="post" preventScrollReset>
          <input type="hidden" name="intent" value="approve" />
          <input type="hidden" name="workspaceId" value={view.workspaceId} />
          <Button type="submit">Approve</Button>
        </Form>
        <Form method="post" preventScrollReset>
          <input type="hidden" name="intent" value="hold" />
          <input type="hidden" name="workspaceId" value={view.workspaceId} />
          <Group align="flex-end" gap="sm">
            <TextInput name="note" label="Reason" error={fieldError(answer, 'note')} autoComplete="off" />
            <Button type="submit" variant="default">
              Hold
            </Button>
          </Group>
        </Form>
      </Group>
    </Panel>
  )
}

function Lines({ view }: { view: RunView }) {
  return (
    <DataTable
      caption="Frozen lines"
      columns={[
        { label: 'Line' },
        { label: 'Calls', numeric: true },
        { label: 'Exact', numeric: true },
        { label: 'Amount', numeric: true },
        { label: 'Credited', numeric: true },
      ]}
      rows={view.lines.map((line) => ({
        key: line.key,
        cells: [line.description, line.calls, line.exact, line.amount, line.credited],
      }))}
      footer={['Total', null, null, view.total, null]}
    />
  )
}

function CreditNotes({ view, answer }: Props) {
  return (
    <Panel
      title="Credit notes"
      note="A finalised invoice is never edited. What is given back is at most what each line was billed; the ledger stays as it is."
    >
      {view.creditNotes.length > 0 && (
        <DataTable
          caption="Credit notes of this invoice"
          columns={[
            { label: 'Number' },
            { label: 'Decided' },
            { label: 'For' },
            { label: 'State' },
            { label: 'Amount', numeric: true },
          ]}
          rows={view.creditNotes.map((note) => ({
            key: note.key,
            cells: [note.number, note.at, note.memo, note.state, note.amount],
          }))}
        />
      )}
      {view.creditable && view.lines.some((line) => line.left !== null) && (
        <Form method="post" preventScrollReset key={view.creditNotes.length}>
          <input type="hidden" name="intent" value="credit" />
          <input type="hidden" name="workspaceId" value={view.workspaceId} />
          <input type="hidden" name="seenNotes" value={view.creditNotes.length} />
          <DataTable
            caption="What is given back of each line"
            columns={[{ label: 'Line' }, { label: 'At most', numeric: true }, { label: 'Give back', numeric: true }]}
            rows={view.lines.flatMap((line) =>
              line.left === null
                ? []
                : {
                    key: line.field,
                    cells: [
                      line.description,
                      line.left,
                      <TextInput
                        key="amount"
                        name={line.field}
                        aria-label={`Of “${line.description}”, at most ${line.left}`}
                        placeholder="0.00"
                        inputMode="decimal"
                        miw={110}
                        error={fieldError(answer, line.field) ?? fieldError(answer, line.key)}
                        autoComplete="off"
                      />,
                    ],
                  },
            )}
          />
          <Group align="flex-end" gap="sm" mt="md">
            <NativeSelect name="reason" label="Reason" data={view.reasons} />
            <NativeSelect
              name="back"
              label="What was paid goes"
              data={[
                { value: 'balance', label: 'onto the customer’s balance' },
                { value: 'refund', label: 'back to the payment method' },
              ]}
            />
            <TextInput name="memo" label="What for" error={fieldError(answer, 'memo')} autoComplete="off" />
            <Button type="submit" variant="default">
              Issue credit note
            </Button>
          </Group>
        </Form>
      )}
    </Panel>
  )
}

/** One invoice run: what it says, what can be done about it, and what was given back. */
export function RunPage({ view, answer }: Props) {
  return (
    <>
      <Anchor component={Link} to="/operator" size="sm">
        ← Invoice runs
      </Anchor>
      <PageHeading
        title={view.title}
        actions={
          view.hostedUrl && (
            <Button component="a" href={view.hostedUrl} rel="noreferrer" variant="default">
              Open at Stripe
            </Button>
          )
        }
      />
      <AnswerNotice answer={answer} fields={['note', 'memo']} success={answer?.ok ? answer.message : null} />
      <Group mb="md">
        <StatusBadge tone={view.tone} large>
          {view.state}
        </StatusBadge>
        <Text fw={650} fz="lg">
          {view.total}
        </Text>
      </Group>
      {view.resolutions.length > 0 && <Held view={view} answer={answer} />}
      {view.unfinished && <Unfinished view={view} answer={answerTo(answer, 'hold')} />}
      <Panel title="Lines">
        <Lines view={view} />
      </Panel>
      <Panel
        title="About this run"
        actions={
          <Form method="post" preventScrollReset>
            <input type="hidden" name="intent" value="verify" />
            <Button type="submit" variant="default" size="xs">
              Verify
            </Button>
          </Form>
        }
      >
        <Facts facts={view.facts} />
      </Panel>
      {(view.creditable || view.creditNotes.length > 0) && (
        <CreditNotes view={view} answer={answerTo(answer, 'credit')} />
      )}
    </>
  )
}
