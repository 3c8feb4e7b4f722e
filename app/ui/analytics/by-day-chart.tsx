import { BarChart } from '@mantine/charts'
import { Paper, Text } from '@mantine/core'
import type { DayBar } from './analytics-view.ts'

interface TooltipItem {
  payload?: DayBar
}

/** The amounts as the server formatted them; the bars' own numbers are for drawing only. */
function DayTooltip({ payload }: { payload?: TooltipItem[] }) {
  const day = payload?.[0]?.payload
  if (!day) return null
  return (
    <Paper withBorder shadow="sm" px="sm" py="xs">
      <Text size="sm" fw={600}>
        {day.day} (UTC)
      </Text>
      <Text size="sm">{day.platform} on the platform key</Text>
      <Text size="sm">{day.margin} on your keys</Text>
      <Text size="sm" c="gray.7">
        {day.calls} calls
      </Text>
    </Paper>
  )
}

export default function ByDayChart({ days }: { days: DayBar[] }) {
  return (
    <BarChart
      h={240}
      data={days}
      dataKey="day"
      type="stacked"
      withLegend
      legendProps={{ verticalAlign: 'top', align: 'left' }}
      series={[
        { name: 'platformHeight', label: 'Platform key', color: 'teal.7' },
        { name: 'marginHeight', label: 'Your keys', color: 'indigo.4' },
      ]}
      tooltipProps={{ content: ({ payload }) => <DayTooltip payload={payload as unknown as TooltipItem[]} /> }}
      yAxisProps={{
        width: 64,
        tickFormatter: (micro: number) =>
          `$${(micro / 1e6).toLocaleString('en-US', { minimumFractionDigits: Number.isInteger(micro / 1e6) ? 0 : 2, maximumFractionDigits: 4 })}`,
      }}
      xAxisProps={{ minTickGap: 24 }}
    />
  )
}
