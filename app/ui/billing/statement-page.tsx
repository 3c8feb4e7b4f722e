import { Anchor, Button, Group, Text, Title } from '@mantine/core'
import { Link } from '@remix-run/react'
import styles from './statement.module.css'
import type { StatementView } from './statement-view.ts'

function Lines({ view }: { view: StatementView }) {
  return (
    <table className={styles.lines}>
      <caption>Lines of the invoice</caption>
      <thead>
        <tr>
          <th scope="col">Line</th>
          <th scope="col">Calls</th>
          <th scope="col">Exact</th>
          <th scope="col">Amount</th>
        </tr>
      </thead>
      <tbody>
        {view.lines.map((line) => (
          <tr key={line.key}>
            <td>
              {line.description}
              <small>{[line.how, line.sums].filter(Boolean).join(' ')}</small>
            </td>
            <td>{line.calls}</td>
            <td>{line.exact}</td>
            <td>{line.amount}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <td>Total{view.tax}</td>
          <td>{view.totals.calls}</td>
          <td>{view.totals.exact}</td>
          <td>{view.totals.amount}</td>
        </tr>
      </tfoot>
    </table>
  )
}

function Pairs({ title, pairs }: { title: string; pairs: [string, string][] }) {
  return (
    <section>
      <Title order={2} size="h5" mb={4}>
        {title}
      </Title>
      <dl className={styles.pairs}>
        {pairs.map(([label, value]) => (
          <div key={`${label} ${value}`}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

/** One month on paper: A4, without navigation, everything that an accountant asks for. */
export function StatementPage({ view }: { view: StatementView }) {
  return (
    <>
      <Group justify="space-between" mb="md" className={styles.screenOnly}>
        <Anchor component={Link} to={view.back} size="sm">
          ← {view.title}
        </Anchor>
        <Button variant="default" size="xs" onClick={() => window.print()}>
          Print
        </Button>
      </Group>
      <article className={styles.paper}>
        <header className={styles.head}>
          <div>
            <Title order={1} size="h2" id="page-title">
              Statement of AI usage
            </Title>
            <Text>{view.month}, UTC</Text>
          </div>
          <div className={styles.whose}>
            <Text fw={650}>{view.workspace}</Text>
            <Text size="sm">{view.number}</Text>
            <Text size="sm">{view.status}</Text>
          </div>
        </header>
        <Lines view={view} />
        <div className={styles.columns}>
          <Pairs title="From exact sums to what is billed" pairs={view.residue} />
          <Pairs title="About this statement" pairs={view.facts} />
        </div>
        {view.keys.length > 0 && <Pairs title="Own keys enabled in the month" pairs={view.keys} />}
        <section className={styles.small}>
          {view.notes.map((note) => (
            <p key={note}>{note}</p>
          ))}
        </section>
      </article>
    </>
  )
}
