import { Button, SimpleGrid, TextInput } from '@mantine/core'
import { Form, useNavigation } from '@remix-run/react'
import { useEffect, useState } from 'react'
import { type Answer, AnswerNotice, fieldError } from '#app/ui/answer-notice.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'

export type OperatorCreditsAnswer = Answer<{ message: string }>

const fields = ['workspace', 'usd', 'days', 'note']

export function OperatorCreditsPage({ formId, answer }: { formId: string; answer: OperatorCreditsAnswer | undefined }) {
  const busy = useNavigation().formData?.get('intent') === 'grant-credits'
  // A refused form keeps what was typed, and its id: nothing was granted under it.
  const [openForm, setOpenForm] = useState(formId)
  useEffect(() => {
    if (answer?.ok) setOpenForm(formId)
  }, [answer, formId])
  return (
    <>
      <PageHeading title="Credits">
        Credits that nobody paid for. The workspace reads the reason on its own page, and it stands in its audit trail.
      </PageHeading>
      <AnswerNotice answer={answer} fields={fields} success={answer?.ok ? answer.message : null} />
      <Panel title="Grant credits">
        <Form method="post" key={openForm}>
          <input type="hidden" name="intent" value="grant-credits" />
          <input type="hidden" name="formId" value={openForm} />
          <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm" maw={720}>
            <TextInput
              name="workspace"
              label="Workspace, as its address names it"
              required
              withAsterisk={false}
              autoComplete="off"
              error={fieldError(answer, 'workspace')}
            />
            <TextInput
              name="usd"
              label="Amount in USD"
              inputMode="decimal"
              required
              withAsterisk={false}
              error={fieldError(answer, 'usd')}
            />
            <TextInput
              name="days"
              label="Expire after so many days (empty: never)"
              inputMode="numeric"
              error={fieldError(answer, 'days')}
            />
            <TextInput
              name="note"
              label="Why"
              required
              withAsterisk={false}
              maxLength={200}
              error={fieldError(answer, 'note')}
            />
          </SimpleGrid>
          <Button type="submit" mt="md" loading={busy}>
            Grant credits
          </Button>
        </Form>
      </Panel>
    </>
  )
}
