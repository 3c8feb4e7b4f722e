import { Badge } from '@mantine/core'

export type Tone = 'gray' | 'teal' | 'yellow' | 'red'

/** Text colours that keep a contrast of 4.5 on their own tint, wherever it stands: the theme's darkest shades do not. */
const textColors: Record<Tone, string> = { gray: 'gray.8', teal: '#06684a', yellow: 'gray.9', red: '#b02020' }

export function StatusBadge({ tone, children, large = false }: { tone: Tone; children: string; large?: boolean }) {
  return (
    <Badge variant="light" size={large ? 'lg' : 'md'} color={tone} c={textColors[tone]} tt="none">
      {children}
    </Badge>
  )
}
