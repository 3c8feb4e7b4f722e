import { Anchor, Button, Code, Group, NativeSelect, SimpleGrid, Text, Textarea, TextInput } from '@mantine/core'
import { Form, Link, useNavigation } from '@remix-run/react'
import { type Answer, AnswerNotice, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import { AskButton } from '#app/ui/confirm-dialog.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Facts } from '#app/ui/facts.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import type { ReconciliationView } from './reconciliation-view.ts'

export type ReconciliationAnswer = Answer<{ message: string }>

function AskNow({ intent, children }: { intent: string; children: string }) {
  const busy = useNavigation().formData?.get('intent') === intent
  return (
    <Form method="post" preventScrollReset>
      <input type="hidden" name="intent" value={intent} />
      <Button type="submit" variant="default" size="xs" loading={busy}>
        {children}
      </Button>
    </Form>
  )
}

function Differences({ rows }: { rows: ReconciliationView['differences'] }) {
  if (!rows.length) return <Empty title="The books agree">They are compared every night, and whenever you ask.</Empty>
  return (
    <DataTable
      caption="Books that do not agree"
      columns={[
        { label: 'Books' },
        { label: 'Workspace' },
        { label: 'Should be' },
        { label: 'Is' },
        { label: 'Money', numeric: true },
        { label: 'Since' },
        { label: 'Last seen' },
        { label: 'Close' },
      ]}
      rows={rows.map((row) => ({
        key: row.id,
        cells: [
          ...[row.what, row.workspace, row.expected, row.actual, row.money, row.since, row.seen],
          <AskButton key="close" ask={['write-off', row.id]} label={`Write off: ${row.what}, ${row.workspace}`}>
            Write off
          </AskButton>,
        ],
      }))}
    />
  )
}

function WriteOff({ view, answer }: { view: ReconciliationView; answer: ReconciliationAnswer | undefined }) {
  const { closing } = view
  if (!closing) return null
  return (
    <Panel
      title="Write off this difference"
      note="For one whose cause you know and that nobody is going to put right, such as a refund made in the Dashboard. No book is changed. It is not shown again unless it changes."
    >
      <Facts
        facts={[
          ['Books', closing.what],
          ['Workspace', closing.workspace],
          ['Should be', closing.expected],
          ['Is', closing.actual],
          ['Money', closing.money],
        ]}
      />
      <Form method="post" preventScrollReset>
        <input type="hidden" name="intent" value="write-off" />
        <input type="hidden" name="id" value={closing.id} />
        <input type="hidden" name="actual" value={closing.actual} />
        <input type="hidden" name="moneyPico" value={closing.moneyPico} />
        <TextInput
          name="reason"
          label="Why it is written off"
          description="It stands in the audit trail."
          error={fieldError(answer, 'reason')}
          maw={620}
          mt="md"
          autoComplete="off"
        />
        <Group mt="sm" gap="md">
          <Button type="submit">Write off</Button>
          <Anchor component={Link} to="/operator/reconciliation" size="sm">
            Cancel
          </Anchor>
        </Group>
      </Form>
    </Panel>
  )
}

function WrittenOff({ rows }: { rows: ReconciliationView['writtenOff'] }) {
  if (!rows.length) return null
  return (
    <Panel title="Written off" note="The newest twenty. The books still differ by these.">
      <DataTable
        caption="Differences that were written off"
        columns={[
          { label: 'Books' },
          { label: 'Workspace' },
          { label: 'Is' },
          { label: 'Money', numeric: true },
          { label: 'Why' },
          { label: 'At' },
        ]}
        rows={rows.map((row) => ({
          key: row.id,
          cells: [row.what, row.workspace, row.actual, row.money, row.reason, row.at],
        }))}
      />
    </Panel>
  )
}

function Held({ rows }: { rows: ReconciliationView['held'] }) {
  if (!rows.length)
    return (
      <Empty title="No call is held">A call whose cost its provider did not tell is held here until it is known.</Empty>
    )
  return (
    <DataTable
      caption="Calls whose cost is not known yet"
      columns={[
        { label: 'Provider' },
        { label: 'Model' },
        { label: 'Calls', numeric: true },
        { label: 'Oldest' },
        { label: 'Newest' },
      ]}
      rows={rows.map((row) => ({
        key: row.key,
        cells: [row.provider, <Code key="model">{row.model}</Code>, row.calls, row.oldest, row.newest],
      }))}
    />
  )
}

function EnterCosts({ answer }: { answer: ReconciliationAnswer | undefined }) {
  return (
    <Form method="post" preventScrollReset>
      <input type="hidden" name="intent" value="enter-costs" />
      <Textarea
        name="csv"
        label="Costs known from elsewhere, as call_id,cost_usd; one call per line"
        error={fieldError(answer, 'csv')}
        autosize
        minRows={3}
        maxRows={12}
        required
        withAsterisk={false}
      />
      <Button type="submit" mt="sm" variant="default">
        Enter costs
      </Button>
    </Form>
  )
}

function ImportReport({ view, answer }: { view: ReconciliationView; answer: ReconciliationAnswer | undefined }) {
  return (
    <Form method="post" preventScrollReset>
      <input type="hidden" name="intent" value="import-report" />
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm" maw={620} mb="sm">
        <NativeSelect name="provider" label="Provider" data={view.providers} defaultValue="openrouter" />
        <TextInput
          name="account"
          label="Account: platform, or the id of a key"
          defaultValue="platform"
          error={fieldError(answer, 'account')}
          autoComplete="off"
        />
      </SimpleGrid>
      <Textarea
        name="csv"
        label="CSV: date, model, usage, byok_usage_inference, requests, prompt_tokens, completion_tokens"
        description="As OpenRouter exports its activity. Larger files: npm run provider:usage -- file.csv"
        error={fieldError(answer, 'csv')}
        autosize
        minRows={4}
        maxRows={12}
        required
        withAsterisk={false}
      />
      <Button type="submit" mt="sm" variant="default">
        Import
      </Button>
    </Form>
  )
}

/** Where books do not agree and what it means in money, calls that are held for want of their cost, and providers' reports. */
export function ReconciliationPage({
  view,
  answer,
}: {
  view: ReconciliationView
  answer: ReconciliationAnswer | undefined
}) {
  return (
    <>
      <PageHeading title="Reconciliation">
        Every night the ledger is compared with its daily sums, with invoices and Stripe, with credits, and with what
        providers say. A difference stands here until the books agree or somebody writes it off.
      </PageHeading>
      <AnswerNotice
        answer={answer}
        fields={['csv', 'account', ...(view.closing ? ['reason'] : [])]}
        success={answer?.ok ? answer.message : null}
      />
      <WriteOff view={view} answer={answerTo(answer, 'write-off')} />
      <Panel
        title="Differences"
        note={view.more ?? undefined}
        actions={<AskNow intent="check-books">Check again</AskNow>}
      >
        <Differences rows={view.differences} />
      </Panel>
      <WrittenOff rows={view.writtenOff} />
      <Panel
        title="Calls whose cost is unknown"
        note="Unknown is not zero: no margin or markup is charged for them yet. Providers are asked every five minutes. What is still unknown when its month is closed is charged $0; a cost that is entered later goes onto the next invoice."
        actions={<AskNow intent="ask-again">Ask again</AskNow>}
      >
        <Held rows={view.held} />
        <Group mt="md" />
        <EnterCosts answer={answerTo(answer, 'enter-costs')} />
      </Panel>
      <Panel
        title="Providers’ reports"
        note="Compared by account and day with the costs in the ledger, within a hundredth and a cent."
      >
        {view.reports.length > 0 ? (
          <DataTable
            caption="Imported reports"
            columns={[
              { label: 'Provider' },
              { label: 'Account' },
              { label: 'Days' },
              { label: 'Cost', numeric: true },
              { label: 'Imported' },
            ]}
            rows={view.reports.map((row) => ({
              key: row.key,
              cells: [row.provider, row.account, row.days, row.cost, row.imported],
            }))}
          />
        ) : (
          <Text size="sm" mb="md">
            None imported yet.
          </Text>
        )}
        <Group mt="md" />
        <ImportReport view={view} answer={answerTo(answer, 'import-report')} />
      </Panel>
    </>
  )
}
