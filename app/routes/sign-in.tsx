import { Button, Card, Center, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core'
import { type MetaFunction, redirect } from '@remix-run/node'
import { Form, useActionData, useNavigation } from '@remix-run/react'
import { z } from 'zod'
import type { ActionAnswer } from '#app/http/respond.server.ts'
import { intent, publicAction, publicLoader } from '#app/http/route.server.ts'
import { findSignedIn } from '#app/http/session.server.ts'
import { safeReturn, signIn } from '#app/http/sign-in.server.ts'
import { AnswerNotice, fieldError } from '#app/ui/answer-notice.tsx'

export const meta: MetaFunction = () => [{ title: 'Sign in · Keymargin' }]

export const loader = publicLoader(async ({ request }) => ((await findSignedIn(request)) ? redirect('/') : {}))

export const action = publicAction({
  'sign-in': intent({
    demand: 'public',
    schema: z.strictObject({ email: z.string().max(320), password: z.string().max(200) }),
    run: async (_, credentials, { request, context }) => {
      const headers = await signIn(credentials, context.clientAddress)
      return redirect(safeReturn(new URL(request.url).searchParams.get('to')), { headers })
    },
  }),
})

export default function SignIn() {
  const answer = useActionData<ActionAnswer>()
  const busy = useNavigation().state !== 'idle'
  return (
    <Center component="main" mih="100vh" bg="gray.0" p="md">
      <Card withBorder shadow="sm" p="xl" w={400} maw="100%">
        <Form method="post">
          <Stack>
            <div>
              <Title order={1} size="h2">
                Keymargin
              </Title>
              <Text c="dimmed" size="sm">
                Sign in to your workspace
              </Text>
            </div>
            <AnswerNotice answer={answer} fields={['password']} />
            <input type="hidden" name="intent" value="sign-in" />
            <TextInput label="E-mail" name="email" type="email" autoComplete="username" required withAsterisk={false} />
            <PasswordInput
              label="Password"
              name="password"
              autoComplete="current-password"
              required
              withAsterisk={false}
              error={fieldError(answer, 'password')}
            />
            <Button type="submit" loading={busy}>
              Sign in
            </Button>
          </Stack>
        </Form>
      </Card>
    </Center>
  )
}
