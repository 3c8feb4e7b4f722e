import { Alert, Anchor, Button, Code, CopyButton, Group, Text, TextInput } from '@mantine/core'
import { Form, Link, useNavigation, useSearchParams } from '@remix-run/react'
import { useEffect, useRef } from 'react'
import { snippetsFor, tokenPlaceholder } from '#app/domain/tokens/snippets.ts'
import { type Answer, AnswerNotice, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import { AskButton, ConfirmDialog } from '#app/ui/confirm-dialog.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import { utcMinute } from '#app/ui/time.ts'
import styles from './tokens.module.css'

export interface TokenView {
  id: string
  name: string
  displayStart: string
  createdAt: string
  createdBy: string | null
  lastUsedAt: string | null
  revokedAt: string | null
}

export interface TokensView {
  /** Origin of this site: what the snippets call. */
  origin: string
  /** Where provider keys are saved. */
  billing: string
  /** One that the workspace can call now; null: none is known. */
  model: string | null
  hasKey: boolean
  tokens: TokenView[]
}

export type TokenAnswer = Answer<{ token: string; name: string } | { message: string }>

function Copyable({ label, text }: { label: string; text: string }) {
  return (
    <div className={styles.copyable}>
      <Group justify="space-between" mb={4}>
        <Text size="sm" fw={600}>
          {label}
        </Text>
        <CopyButton value={text}>
          {({ copied, copy }) => (
            <Button size="xs" variant="default" onClick={copy}>
              {copied ? 'Copied' : 'Copy'}
            </Button>
          )}
        </CopyButton>
      </Group>
      <Code block>{text}</Code>
    </div>
  )
}

/** For a key whose provider lists no models, such as an Azure resource: its deployments have names of their own. */
const modelPlaceholder = 'YOUR_MODEL'

/** Programs to paste, the first one open. Works without scripts, apart from the copy button. */
function Snippets({ view, token }: { view: TokensView; token: string }) {
  const { origin, model, hasKey } = view
  if (model === null && !hasKey)
    return (
      <Alert color="yellow" c="gray.9" mt="md" title="A provider key is needed first">
        No model can be called from this workspace yet: it has no provider key that may serve one. Save one under{' '}
        <Anchor component={Link} to={view.billing} inherit>
          Billing
        </Anchor>
        , then programs to paste stand here.
      </Alert>
    )
  return snippetsFor({ origin, model: model ?? modelPlaceholder, token }).map((snippet, at) => (
    <details key={snippet.id} className={styles.snippet} open={at === 0}>
      <summary>{snippet.label}</summary>
      <Copyable label={snippet.install ? `After ${snippet.install}` : 'In a terminal'} text={snippet.text} />
    </details>
  ))
}

/** The one time a token is on screen. */
function NewToken({ view, token, name }: { view: TokensView; token: string; name: string }) {
  return (
    <Panel title={`Token “${name}” is ready`}>
      <Alert color="yellow" c="gray.9" mb="md" role="status">
        Copy it now: it is shown this once and is not kept here in readable form.
      </Alert>
      <Copyable label="Token" text={token} />
      <Snippets view={view} token={token} />
    </Panel>
  )
}

function CreateForm({ answer }: { answer: TokenAnswer | undefined }) {
  const form = useRef<HTMLFormElement>(null)
  const busy = useNavigation().formData?.get('intent') === 'create-token'
  useEffect(() => {
    if (answer?.ok) form.current?.reset()
  }, [answer])
  return (
    <Form method="post" ref={form}>
      <input type="hidden" name="intent" value="create-token" />
      <Group align="flex-end" gap="sm">
        <TextInput
          label="Name"
          description="Where it will be used, such as “production web”."
          name="name"
          required
          withAsterisk={false}
          maxLength={80}
          error={fieldError(answer, 'name')}
          w={320}
          maw="100%"
        />
        <Button type="submit" loading={busy}>
          Create token
        </Button>
      </Group>
    </Form>
  )
}

function TokenList({ tokens }: { tokens: TokenView[] }) {
  if (!tokens.length)
    return <Empty title="No tokens yet">Create one above, then point any OpenAI client at this site with it.</Empty>
  return (
    <DataTable
      caption="Gateway tokens, live ones first"
      columns={[
        { label: 'Name' },
        { label: 'Starts with' },
        { label: 'Created' },
        { label: 'Last used' },
        { label: 'State' },
        { label: '' },
      ]}
      rows={tokens.map((token) => ({
        key: token.id,
        cells: [
          token.name,
          <Code key="start">{token.displayStart}…</Code>,
          `${utcMinute(token.createdAt)}${token.createdBy ? ` by ${token.createdBy}` : ''}`,
          token.lastUsedAt ? utcMinute(token.lastUsedAt) : 'never',
          token.revokedAt ? (
            <StatusBadge key="state" tone="gray">{`Revoked ${utcMinute(token.revokedAt)}`}</StatusBadge>
          ) : (
            <StatusBadge key="state" tone="teal">
              Live
            </StatusBadge>
          ),
          token.revokedAt ? null : (
            <AskButton key="revoke" ask={['revoke', token.id]} label={`Revoke ${token.name}`}>
              Revoke
            </AskButton>
          ),
        ],
      }))}
    />
  )
}

export function TokensPage({ view, answer }: { view: TokensView; answer: TokenAnswer | undefined }) {
  const [params] = useSearchParams()
  const asked = view.tokens.find((token) => token.id === params.get('revoke') && !token.revokedAt)
  const revoked = answerTo(answer, 'revoke-token')
  const created = answerTo(answer, 'create-token')
  return (
    <>
      <PageHeading title="Gateway tokens">
        Your programs send one of these as the API key of any OpenAI client. They are not provider keys: a token only
        works here.
      </PageHeading>
      <AnswerNotice answer={revoked} success={revoked?.ok && 'message' in revoked ? revoked.message : null} />
      <AnswerNotice answer={created} fields={['name']} />
      {created?.ok && 'token' in created && <NewToken view={view} token={created.token} name={created.name} />}
      <Panel title="New token">
        <CreateForm answer={created} />
      </Panel>
      <Panel title="Tokens">
        <TokenList tokens={view.tokens} />
      </Panel>
      {!(created?.ok && 'token' in created) && (
        <Panel
          title="Call it from your programs"
          note={`Any OpenAI client works: set its base URL and key. Put a token in place of ${tokenPlaceholder}${view.model === null && view.hasKey ? `, and a model or deployment of your key in place of ${modelPlaceholder}` : ''}; right after you create a token, it stands here for you to copy.`}
        >
          <Snippets view={view} token={tokenPlaceholder} />
        </Panel>
      )}
      {asked && (
        <ConfirmDialog
          title={`Revoke “${asked.name}”?`}
          intent="revoke-token"
          fields={{ id: asked.id }}
          confirm="Revoke token"
        >
          <Text size="sm">
            Programs that use {asked.displayStart}… are refused from their next call on. This cannot be undone; their
            calls so far stay in the analytics and on the bill.
          </Text>
        </ConfirmDialog>
      )}
    </>
  )
}
