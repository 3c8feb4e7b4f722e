import { Button, Code, Group, PasswordInput, SimpleGrid, Text, Textarea, TextInput } from '@mantine/core'
import { Form, Link, useLocation, useNavigation } from '@remix-run/react'
import { type ReactNode, useEffect, useRef } from 'react'
import { type Answer, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import styles from './keys.module.css'
import type { KeyFormView } from './keys-view.ts'

type Field = KeyFormView['fields'][number]

/** Errors of `saveProviderKey` name `key`, or `credential.` and the member. */
const refusalOf = (answer: Answer | undefined, { name }: Field): string | undefined =>
  fieldError(answer, `credential.${name === 'key' ? 'apiKey' : name}`) ?? fieldError(answer, name)

/** Fields whose refusals stand beside them in this form. */
export const shownFields = (form: KeyFormView | null): string[] =>
  form
    ? ['name', 'json', ...form.fields.flatMap(({ name }) => [name, `credential.${name === 'key' ? 'apiKey' : name}`])]
    : []

const quiet = { autoComplete: 'off', spellCheck: false, 'data-1p-ignore': true, 'data-lpignore': 'true' } as const

function CredentialInput({ field, error }: { field: Field; error: string | undefined }) {
  const { name, label, description, required } = field
  const given = { name, label, description, required, error, withAsterisk: false, ...quiet }
  return field.secret ? <PasswordInput {...given} data-secret /> : <TextInput {...given} />
}

/** A form whose secrets are gone after every answer, good or bad; the first field that was refused takes the focus. */
function SecretForm({
  intent,
  form,
  answer,
  children,
}: {
  intent: string
  form: KeyFormView
  answer: Answer | undefined
  children: ReactNode
}) {
  const element = useRef<HTMLFormElement>(null)
  useEffect(() => {
    if (!answer) return
    const inputs = element.current?.querySelectorAll<HTMLInputElement>(
      'input[type=password], input[data-secret], textarea',
    )
    for (const input of inputs ?? []) input.value = ''
    if (answer.ok) element.current?.reset()
    else element.current?.querySelector<HTMLInputElement>('[aria-invalid=true]')?.focus()
  }, [answer])
  return (
    <Form method="post" ref={element} autoComplete="off" preventScrollReset>
      <input type="hidden" name="intent" value={intent} />
      <input type="hidden" name="provider" value={form.provider} />
      {form.replaces && <input type="hidden" name="keyId" value={form.replaces.id} />}
      {children}
    </Form>
  )
}

const useBusy = (intent: string) => useNavigation().formData?.get('intent') === intent

function PasteForm({ form, members, answer }: { form: KeyFormView; members: string[]; answer: Answer | undefined }) {
  const refusal = answer && !answer.ok ? answer.error.message : undefined
  const busy = useBusy('save-key-json')
  return (
    <details open={refusal !== undefined} className={styles.paste}>
      <summary>
        <Text span size="sm">
          Or paste it as JSON
        </Text>
      </summary>
      <SecretForm intent="save-key-json" form={form} answer={answer}>
        <Textarea
          name="json"
          label="Credential as JSON"
          description={`An object with ${members.join(', ')}.`}
          error={refusal}
          required
          withAsterisk={false}
          autosize
          minRows={3}
          maw={560}
          mt="sm"
          {...quiet}
        />
        <Button type="submit" variant="default" mt="sm" loading={busy}>
          Save pasted credential
        </Button>
      </SecretForm>
    </details>
  )
}

/** In the demo only: keys of its sandbox, to paste. */
function Samples({ form: { samples, providerName, members } }: { form: KeyFormView }) {
  if (samples.length === 0) return null
  return (
    <div className={styles.samples}>
      <Text size="sm" fw={600}>
        This is the demo: no call leaves this machine.
      </Text>
      <Text size="sm" c="gray.7">
        Instead of {providerName} a sandbox answers. It takes {members ? 'this JSON, pasted below' : 'these keys'}; real
        ones do not work here.
      </Text>
      <ul>
        {samples.map(({ text, means }) => (
          <li key={text}>
            <Code>{text}</Code> <span>{means}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** Takes a new credential, or one in place of a saved one. Nothing that was typed comes back from the server. */
export function KeyForm({
  form,
  answer,
  closable,
}: {
  form: KeyFormView
  answer: Answer | undefined
  closable: boolean
}) {
  const { pathname } = useLocation()
  const busy = useBusy('save-key')
  const saved = answerTo(answer, 'save-key')
  const many = form.fields.length > 2
  return (
    <div>
      <SecretForm intent="save-key" form={form} answer={saved}>
        <SimpleGrid cols={{ base: 1, sm: many ? 2 : 1 }} spacing="sm" maw={many ? 760 : 560}>
          {form.fields.map((field) => (
            <CredentialInput key={field.name} field={field} error={refusalOf(saved, field)} />
          ))}
          {!form.replaces && (
            <TextInput
              name="name"
              label="Name (optional)"
              description="What you call this key, such as “production”. Every member sees it."
              error={fieldError(saved, 'name')}
              maxLength={60}
              autoComplete="off"
            />
          )}
        </SimpleGrid>
        <Group mt="sm" gap="xs">
          <Button type="submit" loading={busy}>
            {form.replaces ? 'Replace' : 'Save key'}
          </Button>
          {closable && (
            <Button component={Link} to={pathname} variant="default" preventScrollReset>
              Cancel
            </Button>
          )}
        </Group>
      </SecretForm>
      <Samples form={form} />
      {form.members && <PasteForm form={form} members={form.members} answer={answerTo(answer, 'save-key-json')} />}
    </div>
  )
}
