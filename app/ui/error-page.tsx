import { Anchor, Code, Container, Stack, Text, Title } from '@mantine/core'
import { isRouteErrorResponse, useLocation, useRouteError } from '@remix-run/react'

const titles: Record<number, string> = {
  400: 'That request cannot be read',
  401: 'Sign in first',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Not possible here',
  429: 'Too many tries',
  503: 'Not available right now',
}

interface Shown {
  status: number
  message: string
  reference: string | null
  /** What of the address cannot be: the page shows itself without it. */
  field: string | null
}

function describe(error: unknown): Shown {
  if (!isRouteErrorResponse(error))
    return { status: 500, message: 'Something failed on our side. Try again.', reference: null, field: null }
  const body =
    typeof error.data === 'object' && error.data !== null
      ? (error.data as { message?: string; requestId?: string; field?: string | null })
      : {}
  return {
    status: error.status,
    message: body.message ?? 'This page does not exist.',
    reference: body.requestId ?? null,
    field: (error.status === 400 && body.field) || null,
  }
}

/** One page for every refusal: what happened, in the words of the error, and where to go. */
export function ErrorPage() {
  const { status, message, reference, field } = describe(useRouteError())
  const { pathname, search } = useLocation()
  return (
    <Container size="xs" py="xl">
      <Stack gap="sm">
        <Text c="dimmed" size="sm">
          {status}
        </Text>
        <Title order={1} id="page-title">
          {titles[status] ?? 'Something failed'}
        </Title>
        <Text>{field && search ? `In the address, ${message}` : message}</Text>
        {status === 404 && (
          <Text>Check the address. It may be gone, or belong to a workspace that you are no member of.</Text>
        )}
        {field && search && <Anchor href={pathname}>Show this page from its start</Anchor>}
        {reference && (
          <Text size="xs" c="dimmed">
            Reference <Code>{reference}</Code>
          </Text>
        )}
        <Anchor href="/">Back to Keymargin</Anchor>
      </Stack>
    </Container>
  )
}
