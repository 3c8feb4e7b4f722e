import { Anchor, Button, Group, Paper, Stack, Text, Title } from '@mantine/core'
import { Form, Link, useNavigation } from '@remix-run/react'
import { type Answer, AnswerNotice } from '#app/ui/answer-notice.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'

export interface NoticeView {
  id: string
  title: string
  message: string
  /** When it was raised and mailed, in words. */
  when: string
  /** When and by whom it ended, in words; null: it is open. */
  ended: string | null
  to: string | null
}

export interface NoticesView {
  open: NoticeView[]
  past: NoticeView[]
  canDismiss: boolean
}

function Dismiss({ notice }: { notice: NoticeView }) {
  const data = useNavigation().formData
  return (
    <Form method="post" preventScrollReset>
      <input type="hidden" name="intent" value="dismiss-notice" />
      <input type="hidden" name="id" value={notice.id} />
      <Button
        type="submit"
        variant="default"
        size="xs"
        aria-label={`Dismiss: ${notice.title}`}
        loading={data?.get('id') === notice.id}
      >
        Dismiss
      </Button>
    </Form>
  )
}

function OneNotice({ notice, canDismiss }: { notice: NoticeView; canDismiss: boolean }) {
  return (
    <Paper component="li" withBorder p="md">
      <Group justify="space-between" align="flex-start" gap="sm">
        <Title order={3} size="h5">
          {notice.title}
        </Title>
        {canDismiss && !notice.ended && <Dismiss notice={notice} />}
      </Group>
      <Text size="sm" mt={4} maw={760}>
        {notice.message}
      </Text>
      <Text size="xs" c="gray.7" mt={6}>
        {notice.when}
        {notice.ended && ` ${notice.ended}`}
        {notice.to && (
          <>
            {' '}
            <Anchor component={Link} to={notice.to} inherit>
              Look at it
            </Anchor>
          </>
        )}
      </Text>
    </Paper>
  )
}

function List({ notices, canDismiss }: { notices: NoticeView[]; canDismiss: boolean }) {
  return (
    <Stack component="ul" gap="sm" p={0} m={0} style={{ listStyle: 'none' }}>
      {notices.map((notice) => (
        <OneNotice key={notice.id} notice={notice} canDismiss={canDismiss} />
      ))}
    </Stack>
  )
}

/** What the workspace's people are to know. Everybody reads; owners and billing admins dismiss, for all. */
export function NoticesPage({ view, answer }: { view: NoticesView; answer: Answer<{ message: string }> | undefined }) {
  return (
    <>
      <PageHeading title="Notices">
        Owners and billing admins also get them by mail, where the operator has set up a mail server. A notice goes by
        itself when what it says no longer holds; dismissed, it goes for everybody.
      </PageHeading>
      <AnswerNotice answer={answer} success={answer?.ok ? answer.message : null} />
      <Panel title="Open">
        {view.open.length ? (
          <List notices={view.open} canDismiss={view.canDismiss} />
        ) : (
          <Empty title="Nothing needs your attention">
            A refused key, a low balance, a payment that failed or a budget that is reached would stand here.
          </Empty>
        )}
      </Panel>
      {view.past.length > 0 && (
        <Panel title="Earlier">
          <List notices={view.past} canDismiss={false} />
        </Panel>
      )}
    </>
  )
}
