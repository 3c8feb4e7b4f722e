import { Alert, Text } from '@mantine/core'

/** What the address asks for and cannot be shown. */
export interface Refusal {
  /** As the address spells it. */
  field: string
  message: string
}

/** The text for the field that the address has wrong. */
export const refusalOf = (refusal: Refusal | undefined, field: string): string | undefined =>
  refusal?.field === field ? refusal.message : undefined

/** In place of a page's figures: nothing was computed, and why. The form above it says which field it is. */
export function RefusedAddress({ refusal, fields }: { refusal: Refusal; fields: readonly string[] }) {
  return (
    <Alert color="red" role="alert" mb="lg" title="Nothing is shown yet">
      {fields.includes(refusal.field) ? (
        <Text size="sm">Correct the marked field and apply it.</Text>
      ) : (
        <Text size="sm">
          In the address, {refusal.field}: {refusal.message} Apply the form to go on without it.
        </Text>
      )}
    </Alert>
  )
}
