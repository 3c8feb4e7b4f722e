import { Anchor, Group, SimpleGrid, Text } from '@mantine/core'
import { Link } from '@remix-run/react'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import styles from './pricing.module.css'
import type { PricingView, ScenarioView } from './pricing-view.ts'

function Arithmetic({ scenario }: { scenario: ScenarioView }) {
  return (
    <details className={styles.sums}>
      <summary>Show the arithmetic</summary>
      <dl>
        {scenario.lines.map(({ what, amount }) => (
          <div key={what}>
            <dt>{what}</dt>
            {amount && <dd>{amount}</dd>}
          </div>
        ))}
        <dt>Together</dt>
        <dd>
          <b>{scenario.totalExact}</b>
        </dd>
      </dl>
      {scenario.warnings.map((warning) => (
        <Text key={warning} size="xs" mt={4}>
          {warning}
        </Text>
      ))}
    </details>
  )
}

function Scenarios({ view }: { view: PricingView }) {
  if (view.otherCurrency)
    return (
      <Panel title="Your last 30 days, charged in every way there is">
        <Empty title={`Not compared in ${view.otherCurrency}`}>
          Providers bill in US dollars, your prices are in {view.otherCurrency}, and no rate between them is kept: they
          have no common sum, so nothing is shown rather than a wrong one. What your calls came to is in the analytics
          and on your invoices.
        </Empty>
      </Panel>
    )
  return (
    <Panel
      title="Your last 30 days, charged in every way there is"
      note={`${view.calls}, ${view.range}. From what each call used and cost, to the last digit. A key of your own is taken to serve every model, at the cost that was paid; background surfaces stay on the platform key where a plan has one. What a plan’s subscription costs is not in it.`}
    >
      {view.empty ? (
        <Empty title="No calls in these 30 days">
          Once there are some, this shows what each way of charging makes of them.
        </Empty>
      ) : (
        <DataTable
          caption="The same calls under each way of charging, your plan's first"
          columns={[
            { label: 'Charged as' },
            { label: 'Plan' },
            { label: 'Paid here', numeric: true },
            { label: 'Paid to providers', numeric: true },
            { label: 'Together', numeric: true },
          ]}
          rows={view.scenarios.map((scenario) => ({
            key: scenario.key,
            cells: [
              <div key="title">
                {scenario.title}
                <Arithmetic scenario={scenario} />
              </div>,
              <Group key="plan" gap={6}>
                {scenario.plan}
                {scenario.yours && <StatusBadge tone="teal">Yours</StatusBadge>}
              </Group>,
              scenario.here,
              scenario.provider,
              <b key="total">{scenario.total}</b>,
            ],
          }))}
        />
      )}
    </Panel>
  )
}

function Unpriced({ view }: { view: PricingView }) {
  if (!view.unpriced.length) return null
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
      {view.unpriced.map(({ title, rows }) => (
        <Panel
          key={title}
          title={title}
          note="They are among the calls above; where a way of charging needs what is missing, its arithmetic says that they are not in its sums."
        >
          <DataTable
            caption={title}
            columns={[{ label: 'Model' }, { label: 'Calls', numeric: true }]}
            rows={rows.map(({ model, calls }) => ({ key: model, cells: [model, calls] }))}
          />
        </Panel>
      ))}
    </SimpleGrid>
  )
}

function Timeline({ view }: { view: PricingView }) {
  return (
    <Panel title="When which key paid" note={view.timelineNote}>
      {view.timeline.length ? (
        <DataTable
          caption="Plans, keys and calls, newest first"
          columns={[{ label: 'From' }, { label: 'Until' }, { label: 'What held' }]}
          rows={view.timeline.map((row) => ({
            key: row.key,
            cells: [
              row.from,
              row.until || null,
              row.to ? (
                <Anchor key="what" component={Link} to={row.to} inherit>
                  {row.what}
                </Anchor>
              ) : (
                row.what
              ),
            ],
          }))}
        />
      ) : (
        <Empty title="Nothing yet">Plans, keys and calls are listed here from the first on.</Empty>
      )}
    </Panel>
  )
}

export function PricingPage({ view }: { view: PricingView }) {
  return (
    <>
      <PageHeading title="Pricing">What your calls cost, and what they would have cost in every other way.</PageHeading>
      <Scenarios view={view} />
      <Unpriced view={view} />
      <Timeline view={view} />
    </>
  )
}
