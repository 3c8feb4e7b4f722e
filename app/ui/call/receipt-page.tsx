import { Alert, Anchor, SimpleGrid } from '@mantine/core'
import { Link } from '@remix-run/react'
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
      <Panel title="The call">
        <Facts facts={view.call} />
      </Panel>
    </>
  )
}
