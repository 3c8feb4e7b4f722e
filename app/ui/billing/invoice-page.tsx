import { Alert, Anchor, Button, Code, Group, List, SimpleGrid, Text } from '@mantine/core'
import { Form, Link, useNavigation } from '@remix-run/react'
import { type Answer, AnswerNotice } from '#app/ui/answer-notice.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Facts } from '#app/ui/facts.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import type { InvoiceView, LineRow, Verdict } from './invoice-view.ts'

function Lines({ lines, totals }: { lines: LineRow[]; totals: InvoiceView['totals'] }) {
  if (!lines.length) return <Empty title="No lines">No calls were billed in this month.</Empty>
  return (
    <DataTable
      caption="Invoice lines"
      columns={[
        { label: 'Line' },
        { label: 'Calls', numeric: true },
        { label: 'Tokens', numeric: true },
        { label: 'Tier price', numeric: true },
        { label: 'Your provider’s cost', numeric: true },
        { label: 'Exact', numeric: true },
        { label: 'Amount', numeric: true },
      ]}
      rows={lines.map((line) => ({
        key: line.key,
        cells: [
          <div key="line">
            {line.description}
            <Text size="xs" c="gray.7">
              {line.how}
            </Text>
          </div>,
          <Anchor key="calls" component={Link} to={line.to} inherit aria-label={`What is behind: ${line.description}`}>
            {line.calls === '–' ? 'Show' : line.calls}
          </Anchor>,
          line.tokens,
          line.tierPrice,
          line.rawCost,
          line.exact,
          line.amount,
        ],
      }))}
      footer={['Total', totals.calls, null, null, null, totals.exact, totals.amount]}
    />
  )
}

function VerifyForm({ answer }: { answer: Answer<{ verdict: Verdict }> | undefined }) {
  const busy = useNavigation().state !== 'idle'
  return (
    <>
      <AnswerNotice answer={answer?.ok ? undefined : answer} />
      {answer?.ok && (
        <Alert color={answer.verdict.equal ? 'teal' : 'red'} role="status" mb="md">
          {answer.verdict.message}
          {answer.verdict.findings.length > 0 && (
            <List size="sm" mt="xs">
              {answer.verdict.findings.map((finding) => (
                <List.Item key={finding}>{finding}</List.Item>
              ))}
            </List>
          )}
        </Alert>
      )}
      <Form method="post" preventScrollReset>
        <input type="hidden" name="intent" value="verify" />
        <Button type="submit" variant="default" size="xs" loading={busy}>
          Verify
        </Button>
      </Form>
    </>
  )
}

export function InvoicePage({ view, answer }: { view: InvoiceView; answer: Answer<{ verdict: Verdict }> | undefined }) {
  return (
    <>
      <Anchor component={Link} to={view.back} size="sm">
        ← Billing
      </Anchor>
      <PageHeading
        title={view.title}
        actions={
          <>
            <Button component={Link} to={view.statement} variant="default">
              Statement
            </Button>
            {view.hostedUrl && (
              <Button component="a" href={view.hostedUrl} rel="noreferrer" variant="default">
                Open at Stripe
              </Button>
            )}
          </>
        }
      />
      <Group mb="md">
        <StatusBadge tone={view.tone} large>
          {view.status}
        </StatusBadge>
        <Text fw={650} fz="lg">
          {view.totals.amount}
        </Text>
      </Group>
      {view.explanation && (
        <Alert color="gray" c="gray.9" mb="lg">
          {view.explanation}
        </Alert>
      )}
      <Panel
        title="Lines"
        note="Every call was priced once, when it ended. Here they are only summed. Amounts are spread so that the lines add up to the total, to the cent."
      >
        <Lines lines={view.lines} totals={view.totals} />
      </Panel>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
        <Panel
          title="From exact sums to cents"
          note="The whole is rounded once. What is left over, a fraction of a cent, is never lost."
        >
          <Facts
            facts={view.residue.map((row) => [row.label, row.strong ? <b key="strong">{row.amount}</b> : row.amount])}
          />
        </Panel>
        <Panel title="About this invoice">
          <Facts facts={view.facts} />
        </Panel>
      </SimpleGrid>
      <Panel
        title="Export"
        note="Exact amounts as decimals. The calls of a line add up to the line, and the lines to the invoice."
      >
        <Group gap="sm">
          {view.exports.map((one) => (
            <Button key={one.to} component="a" href={one.to} download variant="default" size="xs">
              {one.label}
            </Button>
          ))}
        </Group>
      </Panel>
      <Panel
        title="Verify"
        note={
          <>
            Counts every call of the month again and compares with the lines as they were fixed. Their fingerprint
            (SHA-256): <Code style={{ overflowWrap: 'anywhere' }}>{view.linesHash}</Code>
            {view.callsHash && (
              <>
                , of all calls: <Code style={{ overflowWrap: 'anywhere' }}>{view.callsHash}</Code>
              </>
            )}
          </>
        }
      >
        <VerifyForm answer={answer} />
      </Panel>
    </>
  )
}
