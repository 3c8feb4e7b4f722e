import { Button, Group, MultiSelect, Stack, TagsInput, Text, TextInput } from '@mantine/core'
import { Form, Link, useLocation, useNavigation } from '@remix-run/react'
import { type Answer, fieldError } from '#app/ui/answer-notice.tsx'
import styles from './keys.module.css'
import type { LimitsView } from './keys-view.ts'

/** More options than this are found by typing. */
const optionsShown = 100

/** What a key is called, and the models and surfaces it is held to. */
export function LimitsForm({ limits, answer }: { limits: LimitsView; answer: Answer | undefined }) {
  const { pathname } = useLocation()
  const busy = useNavigation().formData?.get('intent') === 'limit-key'
  return (
    <div className={styles.opened}>
      <Text fw={600} size="sm" mb="sm">
        {limits.title}
      </Text>
      <Form method="post" preventScrollReset>
        <input type="hidden" name="intent" value="limit-key" />
        <input type="hidden" name="keyId" value={limits.keyId} />
        <Stack gap="sm" maw={620}>
          <TextInput
            name="name"
            label="Name"
            description="Every member sees it."
            defaultValue={limits.name}
            error={fieldError(answer, 'name')}
            maxLength={60}
            autoComplete="off"
          />
          <TagsInput
            name="models"
            label="Models it may be used for"
            description="Empty: all. Choose from the provider’s list, or paste model ids."
            data={limits.listed}
            defaultValue={limits.models}
            limit={optionsShown}
            splitChars={[',', ' ', '\n']}
            hiddenInputValuesDivider=" "
            acceptValueOnBlur
            error={fieldError(answer, 'allowedModels')}
            comboboxProps={{ withinPortal: false }}
          />
          <MultiSelect
            name="surfaces"
            label="Surfaces it may be used for"
            description="Empty: all."
            data={limits.allSurfaces}
            defaultValue={limits.surfaces}
            hiddenInputValuesDivider=" "
            error={fieldError(answer, 'allowedSurfaces')}
            comboboxProps={{ withinPortal: false }}
          />
          <Text size="sm" c="gray.7">
            Calls on other models or surfaces do not use this key. They go to your other keys; one that none of them may
            take runs on the platform key, or is refused where your plan or settings forbid that.
          </Text>
        </Stack>
        <Group mt="sm" gap="xs">
          <Button type="submit" loading={busy}>
            Save limits
          </Button>
          <Button component={Link} to={pathname} variant="default" preventScrollReset>
            Cancel
          </Button>
        </Group>
      </Form>
    </div>
  )
}
