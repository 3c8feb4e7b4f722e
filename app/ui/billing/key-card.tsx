import { Alert, Button, Code, Group, List, PasswordInput, Stack, Text } from '@mantine/core'
import { Form, useNavigation, useSearchParams } from '@remix-run/react'
import { useEffect, useRef } from 'react'
import { type Answer, AnswerNotice, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import { AskButton, ConfirmDialog } from '#app/ui/confirm-dialog.tsx'
import { Facts } from '#app/ui/facts.tsx'
import { Panel } from '#app/ui/page.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import { ConnectOpenRouter } from './connect-openrouter.tsx'
import type { KeyCardView } from './key-view.ts'

export type KeyAnswer = Answer<{ message: string; warning: string | null }>

/** The field is empty after every answer, good or bad: nothing that was pasted stays on the page. */
function KeyForm({ card, answer }: { card: KeyCardView; answer: KeyAnswer | undefined }) {
  const form = useRef<HTMLFormElement>(null)
  const field = useRef<HTMLInputElement>(null)
  const busy = useNavigation().formData?.get('intent') === 'save-key'
  const refusal = fieldError(answer, 'key')
  useEffect(() => {
    if (!answer) return
    form.current?.reset()
    if (!answer.ok) field.current?.focus()
  }, [answer])
  return (
    <Form method="post" ref={form} autoComplete="off" preventScrollReset>
      <input type="hidden" name="intent" value="save-key" />
      <input type="hidden" name="provider" value={card.provider} />
      <PasswordInput
        ref={field}
        name="key"
        label={card.key ? `New ${card.providerName} API key` : `${card.providerName} API key`}
        description={
          card.key
            ? 'The new key is tried before the old one stops. It is stored sealed and never shown again.'
            : 'Starts with sk-or-. It is tried at once, stored sealed and never shown again.'
        }
        error={refusal}
        required
        withAsterisk={false}
        autoComplete="off"
        spellCheck={false}
        data-1p-ignore
        data-lpignore="true"
        maw={560}
      />
      <Button type="submit" mt="sm" loading={busy}>
        {card.key ? 'Replace' : 'Save key'}
      </Button>
    </Form>
  )
}

function RemoveDialog({ card }: { card: KeyCardView }) {
  return (
    <ConfirmDialog
      title={`Remove the ${card.providerName} key?`}
      intent="remove-key"
      fields={{ provider: card.provider }}
      confirm="Remove key"
    >
      <List size="sm" spacing="xs">
        <List.Item>
          <b>Routing:</b> from the next call on, every call runs on the platform key. Calls that are running now end on
          your key.
        </List.Item>
        <List.Item>
          <b>Bill:</b> those calls are billed at the tier price instead of the margin, and {card.providerName} no longer
          bills you for them. What your key carried so far stays billed as margin.
        </List.Item>
        <List.Item>
          <b>The key:</b> it is deleted here and cannot be brought back. It still works at {card.providerName} until you
          revoke it there.
        </List.Item>
      </List>
      {card.counterfactual && (
        <Text size="sm" mt="sm">
          {card.counterfactual}
        </Text>
      )}
    </ConfirmDialog>
  )
}

function KeyState({ card, warned }: { card: KeyCardView; warned: boolean }) {
  const { key } = card
  if (!key)
    return (
      <Text size="sm">
        No key is configured: all calls run on the platform key, at the tier price.
        {!card.canManage && ' An owner or a billing admin of this workspace can add one.'}
      </Text>
    )
  const label = key.error ? 'Refused' : key.unverified ? 'Not verified yet' : 'Configured'
  const tone = key.error ? 'red' : key.unverified ? 'yellow' : 'teal'
  return (
    <Stack gap="sm">
      <Facts
        facts={[
          ['Provider', card.providerName],
          [
            'Key',
            <Group key="key" gap="xs">
              <Code fz="sm">{key.hint}</Code>
              <StatusBadge tone={tone}>{label}</StatusBadge>
            </Group>,
          ],
          ['Version', key.version],
          ['Saved', key.saved],
        ]}
      />
      {!key.enabled && (
        <Alert color="yellow" c="gray.9">
          The subscription is paused, so this key is not used: calls run on the platform key until the subscription goes
          on.
        </Alert>
      )}
      {key.unverified && !key.error && !warned && (
        <Alert color="yellow" c="gray.9">
          {card.providerName} could not be asked yet whether this key works. It is in use, and we keep asking. If calls
          fail, replace the key.
        </Alert>
      )}
      {key.error && <Alert color="red">{key.error}</Alert>}
      {card.endsOn && (
        <Alert color="yellow" c="gray.9">
          Your plan ends on {card.endsOn} (UTC). On that day this key is destroyed, and calls run on the platform key at
          the tier price.
        </Alert>
      )}
    </Stack>
  )
}

/** The workspace's own provider key. Without Manage billing: whether there is one, and its hint; no field, no button. */
export function KeyCard({ card, answer }: { card: KeyCardView; answer: KeyAnswer | undefined }) {
  const [params] = useSearchParams()
  const saved = answerTo(answer, 'save-key')
  const notice = saved ?? answerTo(answer, 'remove-key')
  return (
    <Panel
      title="AI inference key"
      note={`With a key of your own, ${card.providerName} bills you directly for what models cost, and our invoice holds only the margin: the tier price less that cost, never below $0 for any call. Search indexing, attachment text and the mention cache always run on the platform key.`}
      actions={card.canManage && card.key ? <AskButton ask={['confirm', 'remove']}>Remove</AskButton> : null}
    >
      <AnswerNotice answer={notice} fields={['key']} success={notice?.ok ? notice.message : null} />
      {notice?.ok && notice.warning && (
        <Alert color="yellow" c="gray.9" mb="md" role="status">
          {notice.warning}
        </Alert>
      )}
      <Stack gap="lg">
        <KeyState card={card} warned={Boolean(notice?.ok && notice.warning)} />
        {card.canManage && <KeyForm card={card} answer={saved} />}
        {card.canManage && card.provider === 'openrouter' && <ConnectOpenRouter action="connect" />}
      </Stack>
      {card.canManage && card.key && params.get('confirm') === 'remove' && <RemoveDialog card={card} />}
    </Panel>
  )
}
