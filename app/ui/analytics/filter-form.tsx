import { Anchor, Button, NativeSelect, TextInput } from '@mantine/core'
import { Form, Link, useNavigation } from '@remix-run/react'
import { type Refusal, refusalOf } from '#app/ui/refusal.tsx'
import type { Choice, FilterView } from './analytics-view.ts'
import styles from './filter-form.module.css'

interface PickProps {
  label: string
  name: string
  value: string
  any: string
  choices: Choice[]
  error: string | undefined
}

function Pick({ label, name, value, any, choices, error }: PickProps) {
  return (
    <NativeSelect label={label} name={name} defaultValue={value} size="sm" error={error}>
      <option value="">{any}</option>
      {choices.map((choice) => (
        <option key={choice.value} value={choice.value}>
          {choice.label}
        </option>
      ))}
    </NativeSelect>
  )
}

/** The filter lives in the URL: it can be bookmarked, shared, and works without scripts. */
export function FilterForm({ view, refusal }: { view: FilterView; refusal?: Refusal }) {
  const busy = useNavigation().state === 'loading'
  const { filter, choices, kept } = view
  const error = (name: string) => refusalOf(refusal, name)
  return (
    <Form method="get" key={JSON.stringify(filter)}>
      {kept.map(({ label, value }) => (
        <input key={label} type="hidden" name={label} value={value} />
      ))}
      <div className={styles.filter}>
        <TextInput
          label="From (UTC)"
          name="from"
          type="date"
          defaultValue={filter.from}
          size="sm"
          error={error('from')}
        />
        <TextInput label="To (UTC)" name="to" type="date" defaultValue={filter.to} size="sm" error={error('to')} />
        <Pick
          label="Model"
          name="model"
          value={filter.model}
          any="All models"
          choices={choices.model}
          error={error('model')}
        />
        <Pick
          label="Surface"
          name="surface"
          value={filter.surface}
          any="All surfaces"
          choices={choices.surface}
          error={error('surface')}
        />
        <Pick
          label="Tier"
          name="tier"
          value={filter.tier}
          any="All tiers"
          choices={choices.tier}
          error={error('tier')}
        />
        <Pick
          label="Key"
          name="key"
          value={filter.key}
          any="Any key"
          error={error('key')}
          choices={[
            { value: 'platform', label: 'Platform key' },
            { value: 'workspace', label: 'Your key' },
          ]}
        />
        <Pick
          label="Calls in the list"
          name="outcome"
          value={filter.outcome}
          any="All"
          error={error('outcome')}
          choices={[
            { value: 'failed', label: 'Failed only' },
            { value: 'held', label: 'Held only' },
          ]}
        />
        <Button type="submit" size="sm" loading={busy}>
          Apply
        </Button>
        {view.narrowed && (
          <Anchor component={Link} to="?" size="sm" pb={8}>
            Clear filters
          </Anchor>
        )}
      </div>
    </Form>
  )
}
