import { Anchor, Button } from '@mantine/core'
import { Link } from '@remix-run/react'
import { DataTable } from '#app/ui/data-table.tsx'
import { Facts } from '#app/ui/facts.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'
import type { LineView } from './line-view.ts'

/** What is behind one line of an invoice: its arithmetic, and every call, event or correction in it. */
export function LinePage({ view }: { view: LineView }) {
  const { table } = view
  return (
    <>
      <Anchor component={Link} to={view.back} size="sm">
        ← {view.invoiceTitle}
      </Anchor>
      <PageHeading title={view.title} />
      <Panel title="How it comes about">
        <Facts facts={view.facts} />
      </Panel>
      {table && (
        <Panel title={table.caption}>
          <DataTable
            caption={table.caption}
            columns={table.columns}
            rows={table.rows.map(({ key, to, cells: [time, ...cells] }) => ({
              key,
              cells: [
                to ? (
                  <Anchor key="call" component={Link} to={to} inherit aria-label={`Receipt of the call of ${time}`}>
                    {time}
                  </Anchor>
                ) : (
                  time
                ),
                ...cells,
              ],
            }))}
          />
          {view.next && (
            <Button component={Link} to={view.next.to} variant="default" mt="md">
              {view.next.label}
            </Button>
          )}
        </Panel>
      )}
    </>
  )
}
