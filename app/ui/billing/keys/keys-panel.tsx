import { Alert, Anchor, Button, List, Stack, Text, Title } from '@mantine/core'
import { Link, useLocation } from '@remix-run/react'
import { type Answer, AnswerNotice, answerTo } from '#app/ui/answer-notice.tsx'
import { AskButton, ConfirmDialog } from '#app/ui/confirm-dialog.tsx'
import { Panel } from '#app/ui/page.tsx'
import { ConnectOpenRouter } from '../connect-openrouter.tsx'
import { Coverage } from './coverage.tsx'
import { KeyForm, shownFields } from './key-form.tsx'
import { KeyRow } from './key-row.tsx'
import styles from './keys.module.css'
import type { CoverageView, KeyFormView, KeyGroup, KeysView, StopView } from './keys-view.ts'
import { LimitsForm } from './limits-form.tsx'

export type BillingAnswer = Answer<{ message: string; warning?: string | null; coverage?: CoverageView }>

const saves = ['save-key', 'save-key-json']
const changes = ['switch-key', 'move-key', 'limit-key', 'remove-key']

/** Before a key stops: what that does to routing, to the bill and to the key. */
function StopDialog({ stop }: { stop: StopView }) {
  const { keyId, title, intent } = stop
  const asked: Record<string, string> = intent === 'switch-key' ? { keyId, to: 'off' } : { keyId }
  const confirm = intent === 'switch-key' ? 'Switch key off' : 'Remove key'
  return (
    <ConfirmDialog title={title} intent={intent} fields={asked} confirm={confirm}>
      <List size="sm" spacing="xs">
        <List.Item>
          <b>Routing:</b> {stop.routing}
        </List.Item>
        <List.Item>
          <b>Bill:</b> {stop.bill}
        </List.Item>
        <List.Item>
          <b>The key:</b> {stop.key}
        </List.Item>
      </List>
      {stop.counterfactual && (
        <Text size="sm" mt="sm">
          {stop.counterfactual}
        </Text>
      )}
    </ConfirmDialog>
  )
}

/** What was asked last came to, above the list. */
function Outcome({ answer, fields }: { answer: BillingAnswer | undefined; fields: string[] }) {
  return (
    <>
      <AnswerNotice answer={answer} fields={fields} success={answer?.ok ? answer.message : null} />
      {answer?.ok && answer.warning && (
        <Alert color="yellow" c="gray.9" mb="md" role="status">
          {answer.warning}
        </Alert>
      )}
      {answer?.ok && answer.coverage && <Coverage view={answer.coverage} />}
    </>
  )
}

function Group({ group, view, answer }: { group: KeyGroup; view: KeysView; answer: BillingAnswer | undefined }) {
  const { form, limits, coverage } = view.open
  const saved = saves.includes(answer?.intent ?? '') && answer?.ok
  const limited = answerTo(answer, 'limit-key')
  // The one key of a plan with one provider keeps its form open: there is nothing to close it to.
  const isOnly = view.choices.length === 1 && view.groups.length === 1 && group.keys.length === 1
  return (
    <div>
      <Title order={3} size="h5" mb={6}>
        {group.name}
      </Title>
      {group.keys.length > 1 && (
        <Text size="sm" c="gray.7" mb={6}>
          In this order: the first key that may take a call takes it.
        </Text>
      )}
      <ul className={styles.group}>
        {group.keys.map((key) => {
          const replacing = form?.replaces?.id === key.id && (isOnly || !saved)
          return (
            <KeyRow key={key.id} view={key} canManage={view.canManage} replacing={replacing}>
              {coverage?.keyId === key.id && !saved && <Coverage view={coverage} />}
              {limits?.keyId === key.id && !limited?.ok && <LimitsForm limits={limits} answer={limited} />}
              {replacing && form && (
                <div className={styles.opened}>
                  <KeyForm key={`${form.provider} ${key.id}`} form={form} answer={answer} closable={!isOnly} />
                </div>
              )}
            </KeyRow>
          )
        })}
      </ul>
    </div>
  )
}

function Providers({ choices, chosen }: { choices: KeysView['choices']; chosen: string | undefined }) {
  const { pathname } = useLocation()
  return (
    <>
      <Text size="sm" fw={600} mb={6}>
        Which provider is the key from?
      </Text>
      <ul className={styles.providers}>
        {choices.map(({ id, name }) => (
          <li key={id}>
            <Button
              component={Link}
              to={`${pathname}?add=${id}`}
              preventScrollReset
              size="xs"
              variant={id === chosen ? 'filled' : 'default'}
              aria-current={id === chosen ? 'true' : undefined}
            >
              {name}
            </Button>
          </li>
        ))}
      </ul>
    </>
  )
}

/** Where a key is added, while it is. */
function AddKey({
  view,
  form,
  answer,
}: {
  view: KeysView
  form: KeyFormView | null
  answer: BillingAnswer | undefined
}) {
  return (
    <div>
      {view.choices.length > 1 && <Providers choices={view.choices} chosen={form?.provider} />}
      {form && <KeyForm key={form.provider} form={form} answer={answer} closable={view.groups.length > 0} />}
    </div>
  )
}

interface KeysPanelProps {
  view: KeysView
  answer: BillingAnswer | undefined
  /** What a first key would have changed in the last 30 days; null: nothing to compare. */
  before: string | null
}

/** The workspace's own provider keys. Without Manage billing: which there are and how they do; no field, no button. */
export function KeysPanel({ view, answer, before }: KeysPanelProps) {
  const { form, stop, choosing } = view.open
  const about = answer && [...saves, ...changes].includes(answer.intent) ? answer : undefined
  const saved = about?.ok === true && saves.includes(about.intent)
  const adding = form && !form.replaces && !saved ? form : null
  const isOpen = view.canManage && (adding !== null || (choosing && !saved))
  const beside = about?.intent === 'save-key-json' ? ['credential', ...shownFields(form)] : shownFields(form)
  const fields = about?.intent === 'limit-key' ? ['name', 'allowedModels', 'allowedSurfaces'] : beside
  const [first, ...more] = view.choices
  const connecting = view.connect && (more.length === 0 || adding?.provider === 'openrouter')
  const connect = connecting && (
    <div>
      <Title order={3} size="h5" mb={6}>
        Or connect OpenRouter without copying a key
      </Title>
      <ConnectOpenRouter action="connect" />
    </div>
  )
  return (
    <Panel
      title="AI inference keys"
      note={view.note}
      actions={first && !isOpen && <AskButton ask={['add', more.length ? 'choose' : first.id]}>Add a key</AskButton>}
    >
      <Outcome answer={about} fields={fields} />
      {view.endsOn && view.groups.length > 0 && (
        <Alert color="yellow" c="gray.9" mb="md">
          Your plan ends on {view.endsOn} (UTC). On that day these keys are destroyed.
        </Alert>
      )}
      {before && (
        <Text size="sm" mb="md" maw={760}>
          {before}{' '}
          <Anchor component={Link} to="../pricing" relative="path" inherit>
            See the arithmetic
          </Anchor>
        </Text>
      )}
      <Stack gap="xl">
        {view.groups.length === 0 && <Text size="sm">{view.empty}</Text>}
        {isOpen && <AddKey view={view} form={adding} answer={about} />}
        {isOpen && connect}
        {view.groups.map((group) => (
          <Group key={group.id} group={group} view={view} answer={about} />
        ))}
        {!isOpen && connect}
      </Stack>
      {stop && about?.intent !== stop.intent && <StopDialog stop={stop} />}
    </Panel>
  )
}
