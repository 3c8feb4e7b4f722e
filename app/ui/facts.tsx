import { Fragment, type ReactNode } from 'react'
import styles from './facts.module.css'

export type Fact = [label: string, value: ReactNode]

/** Labels and their values; a value that is null is left out. */
export function Facts({ facts }: { facts: Fact[] }) {
  return (
    <dl className={styles.facts}>
      {facts.map(
        ([label, value]) =>
          value !== null && (
            <Fragment key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </Fragment>
          ),
      )}
    </dl>
  )
}
