import { Alert, Anchor, SimpleGrid } from '@mantine/core'
import { Link } from '@remix-run/react'
import { DataTable } from '#app/ui/data-table.tsx'
import { Facts } from '#app/ui/facts.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'
import styles from './receipt.module.css'
import type { ReceiptView } from './receipt-view.ts'

function Receipt({ sum }: Pick<ReceiptView, 'sum'>) {
  return (
    <table className={styles.receipt}>
      <caption>How this call was priced</caption>
      <tbody>
        {sum.map((line) => (
          <tr key={line.label} className={line.strong ? styles.strong : undefined}>
            <th scope="row">
              {line.label}
              <small>{line.detail}</small>
            </th>
            <td>{line.amount}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

export function ReceiptPage({ view }: { view: ReceiptView }) {
  return (
    <>
      <Anchor component={Link} to={view.back} size="sm">
        ← LLM analytics
      </Anchor>
      <PageHeading title={view.title}>{view.at}</PageHeading>
      {view.link && (
        <Alert color="yellow" c="gray.9" mb="lg">
          <Anchor component={Link} to={view.link.to} inherit>
            {view.link.text}
          </Anchor>
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
        <Panel
          title={view.heading}
          note="Exact to a millionth of a millionth of a dollar; only the invoice's total is rounded to cents."
        >
          <Receipt sum={view.sum} />
          <Alert color={view.held ? 'yellow' : 'gray'} mt="md" c="gray.9">
            {view.verdict}
          </Alert>
        </Panel>
        <Panel title="Where the figures come from">
          <Facts facts={view.money} />
        </Panel>
      </SimpleGrid>
      {view.corrections.length > 0 && (
        <Panel
          title="Corrected since"
          note="What was charged when the call ended stays as it is. The difference is a line of its own on a later invoice."
        >
          <DataTable
            caption="Corrections of this call"
            columns={[
              { label: 'When' },
              { label: 'Why' },
              { label: 'Charged before', numeric: true },
              { label: 'Charged now', numeric: true },
              { label: 'Difference', numeric: true },
              { label: 'On' },
            ]}
            rows={view.corrections.map(({ key, ...row }) => ({
              key,
              cells: [row.at, row.why, row.before, row.after, row.difference, row.on],
            }))}
          />
        </Panel>
      )}
      <Panel title="The call">
        <Facts facts={view.call} />
      </Panel>
    </>
  )
}
