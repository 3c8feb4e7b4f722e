import { Anchor, Button, NativeSelect, TextInput } from '@mantine/core'
import { Form, Link, useNavigation } from '@remix-run/react'
import type { AnalyticsView, Choice } from './analytics-view.ts'
import styles from './filter-form.module.css'

interface PickProps {
  label: string
  name: string
  value: string
  any: string
  choices: Choice[]
}

function Pick({ label, name, value, any, choices }: PickProps) {
  return (
    <NativeSelect label={label} name={name} defaultValue={value} size="sm">
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
export function FilterForm({ view }: { view: AnalyticsView }) {
  const busy = useNavigation().state === 'loading'
  const { filter, choices, kept } = view
  return (
    <Form method="get" key={JSON.stringify(filter)}>
      {kept.map(({ label, value }) => (
        <input key={label} type="hidden" name={label} value={value} />
      ))}
      <div className={styles.filter}>
        <TextInput label="From (UTC)" name="from" type="date" defaultValue={filter.from} size="sm" />
        <TextInput label="To (UTC)" name="to" type="date" defaultValue={filter.to} size="sm" />
        <Pick label="Model" name="model" value={filter.model} any="All models" choices={choices.model} />
        <Pick label="Surface" name="surface" value={filter.surface} any="All surfaces" choices={choices.surface} />
        <Pick label="Tier" name="tier" value={filter.tier} any="All tiers" choices={choices.tier} />
        <Pick
          label="Key"
          name="key"
          value={filter.key}
          any="Any key"
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
