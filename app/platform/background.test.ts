import { describe, expect, it } from 'vitest'
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
    await endBackground(20)
    never.resolve()
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
