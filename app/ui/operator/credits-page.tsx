import { Anchor, Button, Code, Group, SimpleGrid, Text, TextInput } from '@mantine/core'
import { Form, Link, useNavigation } from '@remix-run/react'
import { useEffect, useState } from 'react'
import { type Answer, AnswerNotice, fieldError } from '#app/ui/answer-notice.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import type { OperatorCreditsView } from './credits-view.ts'

export type OperatorCreditsAnswer = Answer<{ message: string }>

const fields = ['workspace', 'usd', 'days', 'note']

function Find({ find }: { find: string }) {
  return (
    <Form method="get">
      <Group align="flex-end" gap="sm" mb="md">
        <TextInput name="find" label="Find by name" defaultValue={find} autoComplete="off" />
        <Button type="submit" variant="default">
          Find
        </Button>
        {find && (
          <Anchor component={Link} to="/operator/credits" size="sm" mb={8}>
            Show all
          </Anchor>
        )}
      </Group>
    </Form>
  )
}

function Balances({ view }: { view: OperatorCreditsView }) {
  if (!view.workspaces.length)
    return (
      <Empty title="No workspace here">None draws on credits or has any{view.find ? ' under this name' : ''}.</Empty>
    )
  return (
    <>
      <DataTable
        caption="Credits by workspace, those with the least first"
        columns={[
          { label: 'Workspace' },
          { label: 'Plan' },
          { label: 'Available', numeric: true },
          { label: 'Held by calls', numeric: true },
          { label: 'Used beyond them', numeric: true },
          { label: 'First expires' },
          { label: '' },
        ]}
        rows={view.workspaces.map((row) => ({
          key: row.slug,
          cells: [
            <div key="name">
              {row.name} <Code>{row.slug}</Code>
            </div>,
            ...[row.plan, row.available, row.held, row.shortfall, row.expiry],
            <Button
              key="grant"
              component={Link}
              to={`?${new URLSearchParams({ ...(view.find ? { find: view.find } : {}), workspace: row.slug })}#grant-credits`}
              variant="default"
              size="xs"
              aria-label={`Grant credits to ${row.name}`}
            >
              Grant
            </Button>,
          ],
        }))}
      />
      {view.moreWorkspaces && <Text size="sm">There are more than these: find one by its name.</Text>}
    </>
  )
}

function Grants({ view }: { view: OperatorCreditsView }) {
  if (!view.grants.length && view.find) return <Empty title="Nothing granted under this name" />
  if (!view.grants.length) return <Empty title="Nothing granted yet">What is granted is listed here.</Empty>
  return (
    <>
      <DataTable
        caption="What was granted, newest first"
        columns={[
          { label: 'Granted' },
          { label: 'Workspace' },
          { label: 'Kind' },
          { label: 'By' },
          { label: 'Why' },
          { label: 'Amount', numeric: true },
          { label: 'Left', numeric: true },
          { label: 'Expires' },
        ]}
        rows={view.grants.map((row) => ({
          key: row.id,
          cells: [row.granted, row.workspace, row.kind, row.by, row.note, row.amount, row.left, row.expires],
        }))}
      />
      {view.moreGrants && <Text size="sm">There are more than these: find a workspace by its name.</Text>}
    </>
  )
}

/** The workspaces' credits, what was granted to whom by whom and why, and the form that grants some. */
export function OperatorCreditsPage({
  view,
  answer,
}: {
  view: OperatorCreditsView
  answer: OperatorCreditsAnswer | undefined
}) {
  const { formId } = view
  const busy = useNavigation().formData?.get('intent') === 'grant-credits'
  // A refused form keeps what was typed, and its id: nothing was granted under it.
  const [openForm, setOpenForm] = useState(formId)
  useEffect(() => {
    if (answer?.ok) setOpenForm(formId)
  }, [answer, formId])
  return (
    <>
      <PageHeading title="Credits">
        What the workspaces have, and what was granted to them: by their plan, by a payment, or by one of us.
      </PageHeading>
      <AnswerNotice answer={answer} fields={fields} success={answer?.ok ? answer.message : null} />
      <Panel title="Workspaces">
        <Find find={view.find} />
        <Balances view={view} />
      </Panel>
      <Panel
        title="Grant credits"
        note="Credits that nobody paid for. The workspace reads the reason on its own page, and it stands in its audit trail."
      >
        <Form method="post" key={`${openForm} ${view.workspace}`} id="grant-credits">
          <input type="hidden" name="intent" value="grant-credits" />
          <input type="hidden" name="formId" value={openForm} />
          <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm" maw={720}>
            <TextInput
              name="workspace"
              label="Workspace, by its short name"
              defaultValue={view.workspace}
              list="credit-workspaces"
              required
              withAsterisk={false}
              autoComplete="off"
              error={fieldError(answer, 'workspace')}
            />
            <TextInput
              name="usd"
              label="Amount in USD"
              inputMode="decimal"
              required
              withAsterisk={false}
              error={fieldError(answer, 'usd')}
            />
            <TextInput
              name="days"
              label="Expire after so many days (empty: never)"
              inputMode="numeric"
              error={fieldError(answer, 'days')}
            />
            <TextInput
              name="note"
              label="Why"
              required
              withAsterisk={false}
              maxLength={200}
              error={fieldError(answer, 'note')}
            />
          </SimpleGrid>
          <datalist id="credit-workspaces">
            {view.workspaces.map(({ slug, name }) => (
              <option key={slug} value={slug} label={name} />
            ))}
          </datalist>
          <Button type="submit" mt="md" loading={busy}>
            Grant credits
          </Button>
        </Form>
      </Panel>
      <Panel title="Granted">
        <Grants view={view} />
      </Panel>
    </>
  )
}
