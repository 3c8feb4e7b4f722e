import { Box, Skeleton, Text } from '@mantine/core'
import { lazy, Suspense, useEffect, useState } from 'react'
import { DataTable } from '#app/ui/data-table.tsx'
import { Panel } from '#app/ui/page.tsx'
import type { DayBar } from './analytics-view.ts'

const ByDayChart = lazy(() => import('./by-day-chart.tsx'))

/** The chart is loaded after the page; the same days as a table serve everybody else. */
export function ByDay({ days }: { days: DayBar[] }) {
  const [inBrowser, setInBrowser] = useState(false)
  useEffect(() => setInBrowser(true), [])
  const used = days.filter((day) => day.calls !== '0')
  return (
    <Panel
      title="Charged by day"
      note="UTC days. What calls on the platform key came to, on the invoice or from credits, and what we charged for calls on your own keys."
    >
      <Box mih={240} aria-hidden="true">
        {inBrowser && (
          <Suspense fallback={<Skeleton h={240} />}>
            <ByDayChart days={days} />
          </Suspense>
        )}
      </Box>
      <details>
        <Text component="summary" size="sm" mt="sm">
          The same as a table
        </Text>
        <DataTable
          caption="Charged by day"
          columns={[
            { label: 'Day (UTC)' },
            { label: 'Calls', numeric: true },
            { label: 'Platform key', numeric: true },
            { label: 'Your keys', numeric: true },
          ]}
          rows={used.map((day) => ({ key: day.day, cells: [day.day, day.calls, day.platform, day.margin] }))}
        />
      </details>
    </Panel>
  )
}
