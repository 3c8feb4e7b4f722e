import { Alert, Button, Code, Group, Text } from '@mantine/core'
import { Form } from '@remix-run/react'
import type { ReactNode } from 'react'
import { AskButton } from '#app/ui/confirm-dialog.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import styles from './keys.module.css'
import type { KeyView } from './keys-view.ts'

interface ActButtonProps {
  intent: string
  fields: Record<string, string>
  label?: string
  children: ReactNode
}

/** One click, one change. */
function ActButton({ intent, fields, label, children }: ActButtonProps) {
  return (
    <Form method="post" preventScrollReset>
      <input type="hidden" name="intent" value={intent} />
      {Object.entries(fields).map(([name, value]) => (
        <input key={name} type="hidden" name={name} value={value} />
      ))}
      <Button type="submit" variant="default" size="xs" aria-label={label}>
        {children}
      </Button>
    </Form>
  )
}

function MoveButton({ view, to, way }: { view: KeyView; to: number | null; way: 'up' | 'down' }) {
  if (to === null) return null
  return (
    <ActButton intent="move-key" fields={{ keyId: view.id, position: String(to) }} label={`Move ${view.hint} ${way}`}>
      {way === 'up' ? '↑' : '↓'}
    </ActButton>
  )
}

/** `replacing`: the form for the new key stands below already. */
function Actions({ view, replacing }: { view: KeyView; replacing: boolean }) {
  const { id, hint, enabled } = view
  return (
    <Group gap="xs" mt="sm">
      <MoveButton view={view} to={view.up} way="up" />
      <MoveButton view={view} to={view.down} way="down" />
      {enabled ? (
        <AskButton ask={['off', id]} label={`Switch off ${hint}`}>
          Switch off
        </AskButton>
      ) : (
        <ActButton intent="switch-key" fields={{ keyId: id, to: 'on' }} label={`Switch on ${hint}`}>
          Switch on
        </ActButton>
      )}
      <AskButton ask={['coverage', id]} label={`What would fail with ${hint}?`}>
        What would fail?
      </AskButton>
      <AskButton ask={['limits', id]} label={`Name and limits of ${hint}`}>
        Name and limits
      </AskButton>
      {!replacing && (
        <AskButton ask={['replace', id]} label={`Replace ${hint}`}>
          Replace
        </AskButton>
      )}
      <AskButton ask={['remove', id]} label={`Remove ${hint}`}>
        Remove
      </AskButton>
    </Group>
  )
}

interface KeyRowProps {
  view: KeyView
  canManage: boolean
  replacing: boolean
  /** What was opened for this key. */
  children?: ReactNode
}

/** One saved key: what may be shown of it, how it does, and what can be done with it. */
export function KeyRow({ view, canManage, replacing, children }: KeyRowProps) {
  return (
    <li className={styles.key}>
      <Group gap="xs" mb={6}>
        <Code fz="sm">{view.hint}</Code>
        {view.name && (
          <Text span size="sm" fw={600}>
            {view.name}
          </Text>
        )}
        <StatusBadge tone={view.state.tone}>{view.state.label}</StatusBadge>
        {view.low && <StatusBadge tone="yellow">Low balance</StatusBadge>}
      </Group>
      <dl className={styles.facts}>
        {view.facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {view.remarks.map(({ tone, text }) => (
        <Alert key={text} color={tone} c={tone === 'yellow' ? 'gray.9' : undefined} mt="sm">
          {text}
        </Alert>
      ))}
      {canManage && <Actions view={view} replacing={replacing} />}
      {children}
    </li>
  )
}
