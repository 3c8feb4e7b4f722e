import { Alert, Button, Checkbox, Group, NativeSelect, Progress, Stack, Text, TextInput, Title } from '@mantine/core'
import { Form, Link, useLocation, useNavigation, useSearchParams } from '@remix-run/react'
import { type FormEvent, useState } from 'react'
import { readLimit } from '#app/domain/budgets/budgets.ts'
import { type Answer, AnswerNotice, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import { AskButton, ConfirmDialog } from '#app/ui/confirm-dialog.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import styles from './budgets.module.css'
import type { BudgetsView, BudgetView } from './budgets-view.ts'

export type BudgetsAnswer = Answer<{ message: string }>

const fields = ['name', 'limit', 'countsOwnKey', 'scopeId']

interface TermsProps {
  terms?: BudgetView['terms']
  /** Of the limit, in capitals. */
  currency: string
  answer: BudgetsAnswer | undefined
}

function Terms({ terms, currency, answer }: TermsProps) {
  return (
    <>
      <TextInput
        name="name"
        label="Name"
        placeholder="Production"
        defaultValue={terms?.name}
        required
        withAsterisk={false}
        maxLength={60}
        error={fieldError(answer, 'name')}
        w={240}
      />
      <TextInput
        name="limit"
        label={`Limit in ${currency}`}
        placeholder="25"
        defaultValue={terms?.limit}
        inputMode="decimal"
        required
        withAsterisk={false}
        error={fieldError(answer, 'limit')}
        w={160}
      />
    </>
  )
}

function Switches({ terms, currency, answer }: TermsProps) {
  return (
    <Stack gap="xs" mt="sm">
      <Checkbox
        name="hard"
        value="on"
        defaultChecked={terms?.hard ?? true}
        label="Refuse calls that do not fit into it"
        description="Unticked, it only tells: by notice and mail at 50, 80 and 100 %. Ticked, a limit of 0 refuses every call that it counts."
      />
      {currency === 'USD' ? (
        <Checkbox
          name="countsOwnKey"
          value="on"
          defaultChecked={terms?.countsOwnKey ?? false}
          label="Count what providers bill your own keys, too"
          error={fieldError(answer, 'countsOwnKey')}
        />
      ) : (
        <Text size="sm">What providers bill your own keys is in USD and is not counted in {currency}.</Text>
      )}
    </Stack>
  )
}

/** Whether the form, as it stands, makes a budget that lets no call pass. */
function useAllowsNothing(terms?: BudgetView['terms']) {
  const [allowsNothing, set] = useState(terms?.hard === true && readLimit(terms.limit) === '0')
  const look = (event: FormEvent<HTMLFormElement>) => {
    const form = new FormData(event.currentTarget)
    set(form.get('hard') === 'on' && readLimit(String(form.get('limit'))) === '0')
  }
  return { allowsNothing, look }
}

const AllowsNothing = ({ shown }: { shown: boolean }) => (
  <div role="status">
    {shown && (
      <Alert color="yellow" c="gray.9" mt="sm">
        With a limit of 0 this budget refuses every call that it counts, from the next one on.
      </Alert>
    )}
  </div>
)

function NewBudget({ view, answer }: { view: BudgetsView; answer: BudgetsAnswer | undefined }) {
  const { allowsNothing, look } = useAllowsNothing()
  const busy = useNavigation().formData?.get('intent') === 'create-budget'
  return (
    <Panel
      title="New budget"
      note="It begins with what its window has come to already. Calls imported from elsewhere do not count. Weeks begin on Monday; all days are UTC days."
    >
      <Form method="post" preventScrollReset key={view.budgets.length} onChange={look}>
        <input type="hidden" name="intent" value="create-budget" />
        <Group align="flex-start" gap="sm">
          <Terms currency={view.currency} answer={answer} />
          <NativeSelect name="target" label="For" data={view.targets} error={fieldError(answer, 'scopeId')} maw={320} />
          <NativeSelect name="period" label="Window" data={view.periods} defaultValue="month" />
        </Group>
        <Switches currency={view.currency} answer={answer} />
        <AllowsNothing shown={allowsNothing} />
        <Button type="submit" mt="md" loading={busy}>
          Make budget
        </Button>
      </Form>
    </Panel>
  )
}

function EditForm({ budget, answer }: { budget: BudgetView; answer: BudgetsAnswer | undefined }) {
  const { pathname } = useLocation()
  const { allowsNothing, look } = useAllowsNothing(budget.terms)
  return (
    <Form method="post" preventScrollReset onChange={look}>
      <input type="hidden" name="intent" value="change-budget" />
      <input type="hidden" name="id" value={budget.id} />
      <input type="hidden" name="enabled" value={budget.enabled ? 'on' : 'off'} />
      <Group align="flex-start" gap="sm" mt="md">
        <Terms terms={budget.terms} currency={budget.currency} answer={answer} />
      </Group>
      <Switches terms={budget.terms} currency={budget.currency} answer={answer} />
      <AllowsNothing shown={allowsNothing} />
      <Group gap="sm" mt="md">
        <Button type="submit">Save</Button>
        <Button component={Link} to={pathname} preventScrollReset variant="default">
          Cancel
        </Button>
      </Group>
    </Form>
  )
}

/** Switches it off or on, leaving its terms as they are. */
function Switch({ budget }: { budget: BudgetView }) {
  const { terms, enabled, id, name } = budget
  return (
    <Form method="post" preventScrollReset>
      <input type="hidden" name="intent" value="change-budget" />
      <input type="hidden" name="id" value={id} />
      <input type="hidden" name="name" value={terms.name} />
      <input type="hidden" name="limit" value={terms.limit} />
      {terms.hard && <input type="hidden" name="hard" value="on" />}
      {terms.countsOwnKey && <input type="hidden" name="countsOwnKey" value="on" />}
      <input type="hidden" name="enabled" value={enabled ? 'off' : 'on'} />
      <Button type="submit" variant="default" size="xs" aria-label={`${enabled ? 'Switch off' : 'Switch on'} ${name}`}>
        {enabled ? 'Switch off' : 'Switch on'}
      </Button>
    </Form>
  )
}

function Bar({ budget, marks }: { budget: BudgetView; marks: readonly number[] }) {
  return (
    <div className={styles.bar}>
      <Progress
        value={budget.filled}
        color={
          budget.tone === 'teal'
            ? 'teal.7'
            : budget.tone === 'yellow'
              ? 'yellow.7'
              : budget.tone === 'red'
                ? 'red.8'
                : 'gray.5'
        }
        size="lg"
        aria-label={`${budget.name}: ${budget.percent} % of the limit`}
      />
      {marks.map((mark) => (
        <div key={mark} className={styles.mark} style={{ left: `${mark}%` }}>
          <span>{mark} %</span>
        </div>
      ))}
    </div>
  )
}

function Budget({
  budget,
  view,
  answer,
}: {
  budget: BudgetView
  view: BudgetsView
  answer: BudgetsAnswer | undefined
}) {
  const editing = view.editing === budget.id && !answer?.ok
  return (
    <article className={styles.budget}>
      <Group justify="space-between" align="flex-start" gap="xs" mb={6}>
        <div>
          <Title order={3} size="h5">
            {budget.name}
          </Title>
          <Text size="sm" c="gray.7">
            {budget.what}; {budget.window}
          </Text>
        </div>
        <Group gap="xs">
          <StatusBadge tone={budget.enabled ? budget.tone : 'gray'}>
            {budget.enabled ? `${budget.percent} %` : 'Off'}
          </StatusBadge>
          <StatusBadge tone="gray">{budget.kind}</StatusBadge>
        </Group>
      </Group>
      <Bar budget={budget} marks={view.marks} />
      <Text size="sm">
        <b>{budget.spent}</b> of {budget.limit} spent, {budget.reserved} reserved for calls that are running now.{' '}
        {budget.counts}.
      </Text>
      {view.canManage && !editing && (
        <Group gap="xs" mt="sm">
          <AskButton ask={['edit', budget.id]} label={`Change ${budget.name}`}>
            Change
          </AskButton>
          <Switch budget={budget} />
          <AskButton ask={['remove', budget.id]} label={`Remove ${budget.name}`}>
            Remove
          </AskButton>
        </Group>
      )}
      {editing && <EditForm budget={budget} answer={answer} />}
    </article>
  )
}

export function BudgetsPage({ view, answer }: { view: BudgetsView; answer: BudgetsAnswer | undefined }) {
  const [params] = useSearchParams()
  const removing = view.canManage ? view.budgets.find(({ id }) => id === params.get('remove')) : undefined
  const changed = answerTo(answer, 'change-budget')
  return (
    <>
      <PageHeading title="Budgets">
        What this workspace allows itself to spend. What a call may come to is reserved before it is sent, so that calls
        which run at once do not spend past a limit together.
      </PageHeading>
      <AnswerNotice answer={answer} fields={fields} success={answer?.ok ? answer.message : null} />
      <Panel title="Budgets">
        {view.budgets.length ? (
          view.budgets.map((budget) => <Budget key={budget.id} budget={budget} view={view} answer={changed} />)
        ) : (
          <Empty title="No budgets yet">
            Calls are not limited by what they come to.
            {view.canManage && ' Make one below to be told, or to have them refused.'}
          </Empty>
        )}
      </Panel>
      {view.canManage ? (
        <NewBudget view={view} answer={answerTo(answer, 'create-budget')} />
      ) : (
        <Panel>
          <Text size="sm">Owners and billing admins of this workspace make and change budgets.</Text>
        </Panel>
      )}
      {removing && (
        <ConfirmDialog
          title={`Remove “${removing.name}”?`}
          intent="remove-budget"
          fields={{ id: removing.id }}
          confirm="Remove budget"
        >
          <Text size="sm">
            From the next call on it holds for nothing. What was spent stays in the analytics and on the bill.
          </Text>
        </ConfirmDialog>
      )}
    </>
  )
}
