import { Alert, Anchor, Button, Group, Text } from '@mantine/core'
import { Link } from '@remix-run/react'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import type { AuditLine, AuditView } from './audit-view.ts'

const Details = ({ line: { facts, links } }: { line: AuditLine }) => (
  <>
    {facts.map(([label, value]) => (
      <div key={label}>
        <Text span size="xs" c="gray.7">
          {label}:
        </Text>{' '}
        {value}
      </div>
    ))}
    {links.map(({ label, to }) => (
      <Anchor key={to} component={Link} to={to} inherit mr="sm">
        {label}
      </Anchor>
    ))}
  </>
)

export function AuditPage({ view }: { view: AuditView }) {
  return (
    <>
      <PageHeading title="Audit trail">Who did what in this workspace. Entries are added, never changed.</PageHeading>
      <Alert color={view.verdict.intact ? 'teal' : 'red'} c={view.verdict.intact ? 'teal.9' : 'red.9'} mb="lg">
        {view.verdict.text}
      </Alert>
      <Panel>
        {view.lines.length ? (
          <DataTable
            caption="Audit trail, newest first"
            columns={[
              { label: 'Entry', numeric: true },
              { label: 'When' },
              { label: 'Who' },
              { label: 'What' },
              { label: 'Details' },
            ]}
            rows={view.lines.map((line) => ({
              key: line.seq,
              cells: [line.seq, line.at, line.who, line.what, <Details key="details" line={line} />],
            }))}
          />
        ) : (
          <Empty title="Nothing yet">Saving a key, creating a token or changing a role leaves an entry here.</Empty>
        )}
        {(view.older || !view.isFirst) && (
          <Group justify="center" mt="md">
            {!view.isFirst && (
              <Button component={Link} to="?" variant="default" size="xs">
                Newest
              </Button>
            )}
            {view.older && (
              <Button component={Link} to={`?before=${view.older}`} variant="default" size="xs">
                Older entries
              </Button>
            )}
          </Group>
        )}
      </Panel>
    </>
  )
}
