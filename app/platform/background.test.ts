import { describe, expect, it, vi } from 'vitest'
import { endBackground, endsWithProcess, inBackground } from './background.server.ts'
import { LaterWrite } from './later-write.ts'

const opened = <T = void>() => {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

describe('work that nobody waits for', () => {
  it('is over before a process closes its database, also what it began meanwhile and what failed', async () => {
    const done: string[] = []
    const [first, second] = [opened(), opened()]
    inBackground(Promise.reject(new Error('its own affair')))
    inBackground(
      first.promise.then(() => {
        done.push('first')
        inBackground(second.promise.then(() => done.push('second')))
      }),
    )
    const ended = endBackground().then(() => done.push('closed'))
    first.resolve()
    await first.promise
    second.resolve()
    await ended
    expect(done).toEqual(['first', 'second', 'closed'])
  })

  it('is waited for no longer than the limit', async () => {
    const never = opened()
    inBackground(never.promise)
    const [began, more] = [vi.fn(), opened()]
    endsWithProcess(async () => began())
    await endBackground(20)
    expect(began).toHaveBeenCalledTimes(1)
    inBackground(more.promise) // begun meanwhile: its end would be another reason to look again
    never.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    expect(began, 'it makes no work once the database is closed').toHaveBeenCalledTimes(1)
    more.resolve()
  })

  it('is done at once where it waited for more', async () => {
    const written: number[] = []
    const later = new LaterWrite(60_000, async () => void written.push(1))
    endsWithProcess(async () => written.push(2))
    later.soon()
    await endBackground()
    expect(written.toSorted()).toEqual([1, 2])
  })
})
