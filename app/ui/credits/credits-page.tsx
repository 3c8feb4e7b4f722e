import { Alert, Anchor, Button, Group, Paper, SimpleGrid, Text, TextInput } from '@mantine/core'
import { Form, Link, useLocation, useNavigation } from '@remix-run/react'
import { type Answer, AnswerNotice, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import type { CreditsView } from './credits-view.ts'

export type CreditsAnswer = Answer<{ message: string }>

function Figures({ figures }: { figures: CreditsView['figures'] }) {
  return (
    <SimpleGrid cols={{ base: 1, xs: 2, lg: 4 }} mb="lg">
      {figures.map(({ label, value, note }) => (
        <Paper key={label} withBorder p="md">
          <Text size="sm" c="gray.7">
            {label}
          </Text>
          <Text fz={26} fw={650} lh={1.3} style={{ fontVariantNumeric: 'tabular-nums' }}>
            {value}
          </Text>
          <Text size="xs" c="gray.7">
            {note}
          </Text>
        </Paper>
      ))}
    </SimpleGrid>
  )
}

function Buy({ answer }: { answer: CreditsAnswer | undefined }) {
  const busy = useNavigation().formData?.get('intent') === 'top-up'
  return (
    <Panel title="Buy credits" note="Paid at Stripe. They are here as soon as the payment is, and never expire.">
      <Form method="post" preventScrollReset>
        <input type="hidden" name="intent" value="top-up" />
        <Group align="flex-start" gap="sm">
          <TextInput
            name="amountUsd"
            label="Amount in USD, from 5 to 5,000"
            placeholder="25"
            inputMode="decimal"
            required
            withAsterisk={false}
            error={fieldError(answer, 'amountUsd')}
            w={260}
          />
          <Button type="submit" mt={25} loading={busy}>
            Go to Checkout
          </Button>
        </Group>
      </Form>
    </Panel>
  )
}

function Grants({ grants }: { grants: CreditsView['grants'] }) {
  return (
    <Panel title="Where they come from" note="Those that expire soonest are spent first.">
      {grants.length ? (
        <DataTable
          caption="Grants, in the order in which they are spent"
          columns={[
            { label: 'Kind' },
            { label: 'Granted' },
            { label: 'Expires' },
            { label: 'Amount', numeric: true },
            { label: 'Left', numeric: true },
          ]}
          rows={grants.map((grant) => ({
            key: grant.id,
            cells: [
              grant.note ? `${grant.kind}: ${grant.note}` : grant.kind,
              grant.granted,
              grant.expires,
              grant.amount,
              grant.left,
            ],
          }))}
        />
      ) : (
        <Empty title="No credits yet">They appear here with what brought them and when they expire.</Empty>
      )}
    </Panel>
  )
}

function Movements({ view }: { view: CreditsView }) {
  const { pathname } = useLocation()
  return (
    <Panel
      title="Movements"
      note="What calls held meanwhile and gave back stands in the file only."
      actions={
        <Button component="a" href={`${pathname}.csv`} variant="default" size="xs">
          Download CSV
        </Button>
      }
    >
      {view.movements.length ? (
        <DataTable
          caption="Movements of credits, newest first"
          columns={[{ label: 'When' }, { label: 'What' }, { label: 'Credits' }, { label: 'Amount', numeric: true }]}
          rows={view.movements.map((row) => ({
            key: row.seq,
            cells: [
              row.at,
              row.to ? (
                <Anchor key="what" component={Link} to={row.to} inherit>
                  {row.what}
                </Anchor>
              ) : (
                row.what
              ),
              row.from,
              row.amount,
            ],
          }))}
        />
      ) : (
        <Empty title="Nothing has moved yet">What is granted and what calls draw is listed here.</Empty>
      )}
      <Group gap="md" mt="md">
        {!view.isFirstPage && (
          <Anchor component={Link} to={pathname} size="sm">
            Newest
          </Anchor>
        )}
        {view.older && (
          <Anchor component={Link} to={view.older} size="sm">
            Older
          </Anchor>
        )}
      </Group>
    </Panel>
  )
}

function LowCredits({ view, answer }: { view: CreditsView; answer: CreditsAnswer | undefined }) {
  const busy = useNavigation().formData?.get('intent') === 'set-low-credits'
  return (
    <Panel
      title="Tell us when they run low"
      note="By a notice here and by mail to owners and billing admins. 0 asks for silence."
    >
      {view.canManage ? (
        <Form method="post" preventScrollReset key={view.lowCreditsUsd}>
          <input type="hidden" name="intent" value="set-low-credits" />
          <Group align="flex-start" gap="sm">
            <TextInput
              name="lowCreditsUsd"
              label="Below this many USD"
              defaultValue={view.lowCreditsUsd}
              inputMode="decimal"
              required
              withAsterisk={false}
              error={fieldError(answer, 'lowCreditsUsd')}
              w={220}
            />
            <Button type="submit" variant="default" mt={25} loading={busy}>
              Save threshold
            </Button>
          </Group>
        </Form>
      ) : (
        <Text size="sm">Told below ${view.lowCreditsUsd}.</Text>
      )}
    </Panel>
  )
}

export function CreditsPage({ view, answer }: { view: CreditsView; answer: CreditsAnswer | undefined }) {
  const set = answerTo(answer, 'set-low-credits')
  const buying = answerTo(answer, 'top-up')
  return (
    <>
      <PageHeading title="Credits">{view.intro}</PageHeading>
      <AnswerNotice answer={set} fields={['lowCreditsUsd']} success={set?.ok ? set.message : null} />
      <AnswerNotice answer={buying} fields={['amountUsd']} />
      {view.bought && !answer && (
        <Alert color={view.bought.tone} c="gray.9" role="status" mb="md">
          {view.bought.text}
        </Alert>
      )}
      <Figures figures={view.figures} />
      {view.shortfall && (
        <Alert color="yellow" c="gray.9" mb="lg">
          {view.shortfall}
        </Alert>
      )}
      {view.canBuy && <Buy answer={buying} />}
      <Grants grants={view.grants} />
      <Movements view={view} />
      <LowCredits view={view} answer={set} />
    </>
  )
}
