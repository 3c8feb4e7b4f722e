import { Alert, Text } from '@mantine/core'
import type { ReactNode } from 'react'

/** What an action answered, as far as every page shows it alike. */
export type Answer<T = object> =
  | ({ ok: true; intent: string } & T)
  | { ok: false; intent: string; error: { code: string; message: string; field: string | null; requestId: string } }

export const answerTo = <T,>(answer: Answer<T> | undefined, intent: string): Answer<T> | undefined =>
  answer?.intent === intent ? answer : undefined

/** The text for the field that the refusal names. */
export const fieldError = (answer: Answer | undefined, field: string): string | undefined =>
  answer && !answer.ok && answer.error.field === field ? answer.error.message : undefined

interface AnswerNoticeProps {
  answer: Answer | undefined
  /** Fields whose refusals stand beside them already. */
  fields?: string[]
  success?: ReactNode
}

/** Success, or a refusal that belongs to no field on the page. Read out by screen readers when it appears. */
export function AnswerNotice({ answer, fields = [], success }: AnswerNoticeProps) {
  // There before there is anything to say: only what changes in it is read out.
  if (!answer || answer.ok)
    return (
      <div role="status">
        {answer && success && (
          <Alert color="teal" mb="md">
            {success}
          </Alert>
        )}
      </div>
    )
  if (answer.error.field && fields.includes(answer.error.field)) return null
  return (
    <Alert color="red" role="alert" mb="md">
      {answer.error.message}
      {answer.error.code === 'internal_error' && (
        <Text size="xs" mt={4}>
          Reference {answer.error.requestId}
        </Text>
      )}
    </Alert>
  )
}
