import { Alert, Button, Group, Text, TextInput } from '@mantine/core'
import { Form, useNavigation, useSearchParams } from '@remix-run/react'
import { connectOutcome } from './connect-outcome.ts'

interface ConnectOpenRouterProps {
  /** Where the form goes: `/w/<workspace>/settings/billing/connect`. */
  action: string
  /** What is wrong with the limit that was typed. */
  limitError?: string | undefined
}

/** What the last attempt came to. Stands on the page whatever the plan allows by now. */
export function ConnectOutcome() {
  const [params] = useSearchParams()
  const outcome = connectOutcome(params.get('connect'))
  if (!outcome) return null
  return (
    <Alert
      color={outcome.tone}
      c={outcome.tone === 'yellow' ? 'gray.9' : undefined}
      mb="md"
      role={outcome.tone === 'teal' ? 'status' : 'alert'}
    >
      {outcome.text}
    </Alert>
  )
}

/**
 * One click to a key of the customer's own OpenRouter account. Works without scripts: the form is answered by a redirect to
 * OpenRouter.
 */
export function ConnectOpenRouter({ action, limitError }: ConnectOpenRouterProps) {
  const busy = useNavigation().formData?.get('intent') === 'connect-openrouter'
  return (
    <Form method="post" action={action} autoComplete="off">
      <input type="hidden" name="intent" value="connect-openrouter" />
      <Group align="flex-end" gap="sm">
        <TextInput
          name="limitUsd"
          label="Limit of the new key in USD"
          description="Optional. What is left of it is shown as the key’s balance."
          placeholder="no limit"
          inputMode="decimal"
          error={limitError}
          maw={320}
        />
        <Button type="submit" variant="default" loading={busy}>
          Connect OpenRouter
        </Button>
      </Group>
      <Text size="xs" c="gray.7" mt={6} maw={560}>
        Nothing to copy: you approve it at OpenRouter, which then makes a key for this workspace and hands it to our
        server. It is tried at once, stored sealed and never shown.
      </Text>
    </Form>
  )
}
