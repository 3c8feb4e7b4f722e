import { Alert, Anchor, Group, SimpleGrid, Text } from '@mantine/core'
import { Link } from '@remix-run/react'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import type { BillingView, CertificateRow, InvoiceRow, UsageView } from './billing-view.ts'
import { ConnectOutcome } from './connect-openrouter.tsx'
import { type BillingAnswer, KeysPanel } from './keys/keys-panel.tsx'
import { LeavingPanel } from './leaving-panel.tsx'
import { PaymentPanel } from './payment-panel.tsx'
import { RoutingPanel, StuckPanel } from './routing-panel.tsx'

function Usage({ usage }: { usage: UsageView }) {
  return (
    <Panel
      title="AI Usage this month"
      note={`${usage.month} so far, in UTC. The invoice is written after the month ends. Amounts in large are rounded as on the invoice: the sum once, to the cent, and its parts so that they add up to it.`}
    >
      <SimpleGrid cols={{ base: 1, md: 3 }} spacing="xl">
        {usage.parts.map((part) => (
          <div key={part.label}>
            <Text size="sm" c="gray.7">
              {part.label}
            </Text>
            <Text fz={26} fw={650} lh={1.3} style={{ fontVariantNumeric: 'tabular-nums' }}>
              {part.amount}
            </Text>
            <Text size="xs" c="gray.7" mb={6}>
              exactly {part.exact}, {part.calls}
            </Text>
            <Text size="sm">{part.sentence}</Text>
          </div>
        ))}
      </SimpleGrid>
      <Group mt="lg" pt="md" justify="space-between" style={{ borderTop: '1px solid var(--mantine-color-gray-3)' }}>
        <Text fw={600}>On our invoice so far, for calls</Text>
        <Text fw={650}>
          {usage.total}{' '}
          <Text span size="xs" c="gray.7" fw={400}>
            exactly {usage.totalExact}
          </Text>
        </Text>
      </Group>
      {usage.beside?.lines.map(({ what, amount, exact }) => (
        <Group key={what} mt="xs" justify="space-between">
          <Text size="sm">{what}</Text>
          <Text size="sm">
            {amount}{' '}
            {exact !== amount && (
              <Text span size="xs" c="gray.7">
                exactly {exact}
              </Text>
            )}
          </Text>
        </Group>
      ))}
      {usage.beside && (
        <Group mt="xs" justify="space-between">
          <Text fw={600}>On our invoice so far, in all</Text>
          <Text fw={650}>
            {usage.beside.total}{' '}
            <Text span size="xs" c="gray.7" fw={400}>
              exactly {usage.beside.totalExact}
            </Text>
          </Text>
        </Group>
      )}
      {usage.held && (
        <Alert color="yellow" c="gray.9" mt="md">
          {usage.held}
        </Alert>
      )}
    </Panel>
  )
}

function Invoices({ invoices }: { invoices: InvoiceRow[] }) {
  return (
    <Panel title="Invoices" note="One per UTC month. Open one to see its lines and the calls behind each.">
      {invoices.length ? (
        <DataTable
          caption="Invoices, newest first"
          columns={[
            { label: 'Month' },
            { label: 'Number' },
            { label: 'Status' },
            { label: 'Calls', numeric: true },
            { label: 'Total', numeric: true },
          ]}
          rows={invoices.map((invoice) => ({
            key: invoice.id,
            cells: [
              <Anchor key="month" component={Link} to={invoice.to} inherit>
                {invoice.month}
              </Anchor>,
              invoice.number,
              <StatusBadge key="status" tone={invoice.tone}>
                {invoice.status}
              </StatusBadge>,
              invoice.calls,
              invoice.total,
            ],
          }))}
        />
      ) : (
        <Empty title="No invoices yet">
          The first one is written a few days after this workspace's first month ends.
        </Empty>
      )}
    </Panel>
  )
}

function Certificates({ certificates }: { certificates: CertificateRow[] }) {
  if (!certificates.length) return null
  return (
    <Panel
      title="Certificates of destruction"
      note="Keys that were destroyed here because the plan no longer allowed them."
    >
      <DataTable
        caption="Certificates of destruction, newest first"
        columns={[{ label: 'Destroyed' }, { label: 'Key' }, { label: 'Why' }]}
        rows={certificates.map((certificate) => ({
          key: certificate.id,
          cells: [
            <Anchor key="at" component={Link} to={certificate.to} inherit>
              {certificate.at}
            </Anchor>,
            certificate.hint,
            certificate.cause,
          ],
        }))}
      />
    </Panel>
  )
}

export function BillingPage({ view, answer }: { view: BillingView; answer: BillingAnswer | undefined }) {
  return (
    <>
      <PageHeading title="Billing">Plan: {view.planName}.</PageHeading>
      <ConnectOutcome />
      {view.payment && <PaymentPanel view={view.payment} planName={view.planName} />}
      {view.leaving && <LeavingPanel view={view.leaving} />}
      {view.keys && <KeysPanel view={view.keys} answer={answer} before={view.beforeKey} />}
      {view.routing ? (
        <RoutingPanel view={view.routing} answer={answer} />
      ) : (
        <StuckPanel view={view.stuck} answer={answer} />
      )}
      {view.money ? (
        <>
          <Usage usage={view.money.usage} />
          <Invoices invoices={view.money.invoices} />
        </>
      ) : (
        <Panel>
          <Text size="sm">
            This month’s bill and the invoices are shown to owners and billing admins of this workspace.
          </Text>
        </Panel>
      )}
      <Certificates certificates={view.certificates} />
    </>
  )
}
