import { expect, test } from 'vitest'
import { GroupCommit } from './group-commit.ts'

/** A group commit whose groups are released one by one by the test. */
function heldBack(options?: { largest?: number; lanes?: number; mostWaiting?: number }) {
  const groups: { items: number[]; release: () => void }[] = []
  const commit = new GroupCommit<number, string>(
    (items) =>
      new Promise((resolve) => groups.push({ items, release: () => resolve(items.map((item) => `done ${item}`)) })),
    options,
  )
  return { commit, groups }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('one caller goes at once; what arrives meanwhile is one next group; each gets its own result', async () => {
  const { commit, groups } = heldBack({ lanes: 1 })
  const first = commit.add(1)
  await turn()
  const others = [2, 3, 4].map((item) => commit.add(item))
  await turn()
  expect(groups.map((group) => group.items)).toEqual([[1]])
  groups[0]?.release()
  expect(await first).toBe('done 1')
  await turn()
  await turn()
  expect(groups.map((group) => group.items)).toEqual([[1], [2, 3, 4]])
  groups[1]?.release()
  expect(await Promise.all(others)).toEqual(['done 2', 'done 3', 'done 4'])
  expect(commit.pending).toBe(0)
})

test('lanes bound the groups under way, and a group has a largest size', async () => {
  const { commit, groups } = heldBack({ lanes: 2, largest: 2 })
  const all = [1, 2, 3, 4, 5].map((item) => commit.add(item))
  await turn()
  commit.add(6).catch(() => null)
  await turn()
  await turn()
  expect(groups.length).toBe(2)
  for (let index = 0; index < 3; index += 1) {
    groups[index]?.release()
    await turn()
    await turn()
  }
  expect(await Promise.all(all)).toHaveLength(5)
})

test('one bad item does not fail its neighbours', async () => {
  const commit = new GroupCommit<number, number>(async (items) => {
    if (items.includes(3)) throw new Error('three')
    return items.map((item) => item * 10)
  })
  const results = await Promise.allSettled([1, 2, 3, 4].map((item) => commit.add(item)))
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed'))).toEqual([
    10,
    20,
    'failed',
    40,
  ])
})

test('a fault that is no item’s fails all at once, without a try for each', async () => {
  let runs = 0
  const run = async (): Promise<number[]> => {
    runs += 1
    throw new Error('away')
  }
  const commit = new GroupCommit<number, number>(run, { blames: () => false })
  const results = await Promise.allSettled([1, 2, 3].map((item) => commit.add(item)))
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(runs).toBe(1)
})

test('what waits for a database that does not answer is bounded, and what is turned away leaves room behind', async () => {
  const { commit, groups } = heldBack({ lanes: 1, mostWaiting: 2 })
  const first = commit.add(1)
  await turn()
  const [second, third] = [commit.add(2), commit.add(3)]
  await expect(commit.add(4)).rejects.toThrow('too much waits')
  expect(commit.pending).toBe(3)
  groups[0]?.release()
  await first
  await turn()
  await turn()
  const fifth = commit.add(5)
  groups[1]?.release()
  expect(await Promise.all([second, third])).toEqual(['done 2', 'done 3'])
  await turn()
  await turn()
  groups[2]?.release()
  expect(await fifth).toBe('done 5')
})
