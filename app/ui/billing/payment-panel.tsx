import { Alert, Anchor, Button, Group, NativeSelect, Stack, Text } from '@mantine/core'
import { Form, useNavigation } from '@remix-run/react'
import { DataTable } from '#app/ui/data-table.tsx'
import { Panel } from '#app/ui/page.tsx'
import type { PaymentView, Said } from './payment-view.ts'

function Note({ said, live = false }: { said: Said; live?: boolean }) {
  const role = live ? (said.tone === 'teal' ? 'status' : 'alert') : undefined
  return (
    <Alert color={said.tone} c={said.tone === 'yellow' ? 'gray.9' : undefined} role={role}>
      {said.text}
    </Alert>
  )
}

interface SendProps {
  action: string
  intent: string
  children: string
  primary?: boolean
}

/** A form whose answer is a page of Stripe's: sent as a document, so that it works without scripts too. */
function Send({ action, intent, children, primary = false }: SendProps) {
  const busy = useNavigation().formData?.get('intent') === intent
  return (
    <Form method="post" action={action} reloadDocument>
      <input type="hidden" name="intent" value={intent} />
      <Button type="submit" variant={primary ? 'filled' : 'default'} loading={busy}>
        {children}
      </Button>
    </Form>
  )
}

function BuyPlan({ view }: { view: PaymentView }) {
  if (!view.plans.length) return null
  return (
    <Form method="post" action={view.action} reloadDocument>
      <input type="hidden" name="intent" value="buy-plan" />
      <Group align="flex-end" gap="sm">
        <NativeSelect
          name="planId"
          label="Subscribe to a plan"
          data={view.plans.map(({ id, name }) => ({ value: id, label: name }))}
          maw={280}
        />
        <Button type="submit">Go to Checkout</Button>
      </Group>
    </Form>
  )
}

function Reversals({ view }: { view: PaymentView }) {
  if (!view.reversals.length) return null
  return (
    <DataTable
      caption="Credit notes and refunds, newest first"
      columns={[{ label: 'What' }, { label: 'When' }, { label: 'Amount', numeric: true }]}
      rows={view.reversals.map((one) => ({ key: one.id, cells: [one.what, one.at, one.amount] }))}
    />
  )
}

/** How the workspace pays: the plan at Checkout or in the portal, the payment method, and what is wrong with it. */
export function PaymentPanel({ view, planName }: { view: PaymentView; planName: string }) {
  return (
    <Panel
      title="Plan and payment"
      note="Plan, payment method and billing address are kept by Stripe, our payment provider. Its pages open from here and come back."
    >
      <Stack gap="md">
        {view.outcome && <Note said={view.outcome} live />}
        {view.notes.map((said) => (
          <Note key={said.text} said={said} />
        ))}
        <div>
          <Text size="sm">
            Plan: <strong>{planName}</strong>
          </Text>
          <Text size="sm" data-testid="payment-method">
            {view.method}
          </Text>
        </div>
        <BuyPlan view={view} />
        <Group gap="sm">
          {view.portal && (
            <Send action={view.action} intent="open-portal">
              {view.plans.length ? 'Manage payment' : 'Change plan or payment'}
            </Send>
          )}
          {view.payUrl && (
            <Anchor href={view.payUrl} size="sm">
              Pay what is open now
            </Anchor>
          )}
        </Group>
        <Reversals view={view} />
      </Stack>
    </Panel>
  )
}
