import { describe, expect, test } from 'vitest'
import { timelineNote } from './pricing-view.ts'

describe('why a call on the platform key is charged as it is', () => {
  test('is said in the words of the plan that the workspace has', () => {
    expect(timelineNote('tier')).toContain('is still “Cost + surcharge”')
    expect(timelineNote('credits')).toContain('is still “Credits”')
    expect(timelineNote('credits')).not.toContain('surcharge')
    expect(timelineNote('none')).toContain('a call that no key of yours serves is refused')
  })
})
