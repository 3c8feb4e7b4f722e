import { Group, Paper, Stack, Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'

interface PageHeadingProps {
  title: string
  children?: ReactNode
  /** Buttons and links at the right. */
  actions?: ReactNode
}

export function PageHeading({ title, children, actions }: PageHeadingProps) {
  return (
    <Group justify="space-between" align="flex-start" mb="lg" gap="sm">
      <div>
        <Title order={1} size="h2" id="page-title">
          {title}
        </Title>
        {children && (
          <Text c="gray.7" size="sm" mt={4} maw={720}>
            {children}
          </Text>
        )}
      </div>
      {actions && <Group gap="xs">{actions}</Group>}
    </Group>
  )
}

interface PanelProps {
  title?: string
  note?: ReactNode
  actions?: ReactNode
  children: ReactNode
}

/** One section of a page. */
export function Panel({ title, note, actions, children }: PanelProps) {
  return (
    <Paper component="section" withBorder p="lg" mb="lg">
      {(title || actions) && (
        <Group justify="space-between" align="flex-start" mb={note ? 4 : 'md'} gap="xs">
          {title && (
            <Title order={2} size="h4">
              {title}
            </Title>
          )}
          {actions}
        </Group>
      )}
      {note && (
        <Text c="gray.7" size="sm" mb="md" maw={760}>
          {note}
        </Text>
      )}
      {children}
    </Paper>
  )
}

/** What an empty list says: why, and what to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Stack gap={4} align="center" py="xl" ta="center">
      <Text fw={600}>{title}</Text>
      {children && (
        <Text c="gray.7" size="sm" maw={460}>
          {children}
        </Text>
      )}
    </Stack>
  )
}
