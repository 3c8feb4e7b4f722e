import { Button, Group, NativeSelect, Stack, Text, TextInput, Title } from '@mantine/core'
import { Form, useNavigation } from '@remix-run/react'
import type { ReactNode } from 'react'
import { type Answer, AnswerNotice, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Panel } from '#app/ui/page.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import type { RoutingView, StuckView } from './routing-view.ts'

const intents = ['set-never-platform', 'set-low-balance', 'allow-fallback', 'forbid-fallback']
const fields = ['lowBalanceUsd', 'dailyCapUsd', 'surface']

type RoutingAnswer = Answer<{ message: string }>

function Setting({ title, sentence, children }: { title: string; sentence: string; children: ReactNode }) {
  return (
    <div>
      <Title order={3} size="h5" mb={4}>
        {title}
      </Title>
      <Text size="sm" mb="sm" maw={760}>
        {sentence}
      </Text>
      {children}
    </div>
  )
}

function NeverPlatform({ never, canManage }: { never: NonNullable<RoutingView['never']>; canManage: boolean }) {
  return (
    <Setting title="Never use the platform key" sentence={never.sentence}>
      <Group gap="sm">
        <StatusBadge tone={never.on ? 'teal' : 'gray'}>{never.on ? 'On' : 'Off'}</StatusBadge>
        <Text size="sm">{never.state}</Text>
        {canManage && (
          <Form method="post" preventScrollReset>
            <input type="hidden" name="intent" value="set-never-platform" />
            <input type="hidden" name="to" value={never.on ? 'off' : 'on'} />
            <Button type="submit" variant="default" size="xs">
              {never.on ? 'Allow the platform key again' : 'Never use the platform key'}
            </Button>
          </Form>
        )}
      </Group>
    </Setting>
  )
}

function AllowForm({ choices, answer }: { choices: RoutingView['choices']; answer: RoutingAnswer | undefined }) {
  const busy = useNavigation().formData?.get('intent') === 'allow-fallback'
  return (
    <Form method="post" preventScrollReset key={choices.length}>
      <input type="hidden" name="intent" value="allow-fallback" />
      <Group align="flex-start" gap="sm" mt="md">
        <NativeSelect name="surface" label="Surface" data={choices} error={fieldError(answer, 'surface')} />
        <TextInput
          name="dailyCapUsd"
          label="At most per UTC day, in USD"
          placeholder="5.00"
          inputMode="decimal"
          required
          withAsterisk={false}
          error={fieldError(answer, 'dailyCapUsd')}
          maw={260}
        />
        <Button type="submit" variant="default" mt={25} loading={busy}>
          Allow fall-back
        </Button>
      </Group>
    </Form>
  )
}

function Fallbacks({ view, answer }: { view: RoutingView; answer: RoutingAnswer | undefined }) {
  const { fallbacks, choices, canManage } = view
  return (
    <Setting title="Fall back to the platform key" sentence={view.fallbackSentence}>
      {fallbacks.length === 0 && (
        <Text size="sm" mb="sm">
          Off for every surface.
        </Text>
      )}
      {fallbacks.length > 0 && (
        <DataTable
          caption="Surfaces that may fall back"
          columns={[{ label: 'Surface' }, { label: 'At most per day', numeric: true }, { label: '' }]}
          rows={fallbacks.map(({ surface, name, cap }) => ({
            key: surface,
            cells: [
              name,
              cap,
              canManage ? (
                <Form key="stop" method="post" preventScrollReset>
                  <input type="hidden" name="intent" value="forbid-fallback" />
                  <input type="hidden" name="surface" value={surface} />
                  <Button type="submit" variant="default" size="xs" aria-label={`Stop falling back for ${name}`}>
                    Stop
                  </Button>
                </Form>
              ) : null,
            ],
          }))}
        />
      )}
      {canManage && choices.length > 0 && <AllowForm choices={choices} answer={answer} />}
    </Setting>
  )
}

function LowBalance({ view, answer }: { view: RoutingView; answer: RoutingAnswer | undefined }) {
  const { lowBalance, canManage } = view
  return (
    <Setting title="Tell us when a balance is low" sentence={lowBalance.sentence}>
      {canManage ? (
        <Form method="post" preventScrollReset key={lowBalance.usd}>
          <input type="hidden" name="intent" value="set-low-balance" />
          <Group align="flex-start" gap="sm">
            <TextInput
              name="lowBalanceUsd"
              label="Low below, in USD"
              defaultValue={lowBalance.usd}
              inputMode="decimal"
              required
              withAsterisk={false}
              error={fieldError(answer, 'lowBalanceUsd')}
              maw={260}
            />
            <Button type="submit" variant="default" mt={25}>
              Save threshold
            </Button>
          </Group>
        </Form>
      ) : (
        <Text size="sm">Low below {lowBalance.shown}.</Text>
      )}
    </Setting>
  )
}

/** Shown under a plan without own keys only where the platform key is switched off, for then nothing serves any call. */
export function StuckPanel({ view, answer }: { view: StuckView | null; answer: RoutingAnswer | undefined }) {
  const about = answerTo(answer, 'set-never-platform')
  const state = 'On: no call is served.'
  return (
    <>
      <AnswerNotice answer={about} success={about?.ok ? about.message : null} />
      {view && (
        <Panel title="How calls are routed">
          <NeverPlatform never={{ on: true, state, sentence: view.sentence }} canManage={view.canManage} />
        </Panel>
      )}
    </>
  )
}

/** What the workspace decides for its calls, each with what it means in money. Without Manage billing: as it stands. */
export function RoutingPanel({ view, answer }: { view: RoutingView; answer: RoutingAnswer | undefined }) {
  const about = answer && intents.includes(answer.intent) ? answer : undefined
  return (
    <Panel title="How calls are routed">
      <AnswerNotice answer={about} fields={fields} success={about?.ok ? about.message : null} />
      <Stack gap="xl">
        {view.never ? (
          <>
            <NeverPlatform never={view.never} canManage={view.canManage} />
            <Fallbacks view={view} answer={answerTo(about, 'allow-fallback')} />
          </>
        ) : (
          <Text size="sm">
            This plan has no platform key: every call runs on a key of yours, and one that none of them serves is
            refused with a clear error and costs nothing.
          </Text>
        )}
        <LowBalance view={view} answer={answerTo(about, 'set-low-balance')} />
      </Stack>
    </Panel>
  )
}
