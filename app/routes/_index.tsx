import { Button, Center, Paper, Stack, Text, Title } from '@mantine/core'
import { type MetaFunction, redirect } from '@remix-run/node'
import { Form, useLoaderData } from '@remix-run/react'
import { signedInLoader } from '#app/http/route.server.ts'
import { listOwnWorkspaces } from '#app/http/session.server.ts'

export const meta: MetaFunction = () => [{ title: 'No workspace yet · Keymargin' }]

export const loader = signedInLoader(async (person) => {
  const [first] = await listOwnWorkspaces(person.userId)
  if (first) return redirect(`/w/${first.slug}/analytics`)
  return person.isOperator ? redirect('/operator') : { email: person.email }
})

export default function NoWorkspace() {
  const { email } = useLoaderData<{ email: string }>()
  return (
    <Center component="main" mih="100vh" bg="gray.0" p="md">
      <Paper withBorder p="xl" maw={460}>
        <Stack>
          <Title order={1} size="h2">
            No workspace yet
          </Title>
          <Text>
            You are signed in as {email}, but you belong to no workspace. Ask your operator to add you to one, then
            reload this page.
          </Text>
          <Form method="post" action="/sign-out">
            <input type="hidden" name="intent" value="sign-out" />
            <Button type="submit" variant="default">
              Sign out
            </Button>
          </Form>
        </Stack>
      </Paper>
    </Center>
  )
}
