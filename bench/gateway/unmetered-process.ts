import { GroupCommit } from '#app/platform/group-commit.ts'
import { singleton } from '#app/platform/singleton.server.ts'

/**
 * The gateway without its two durable writes, for one question only: what do they add? The places where it queues them are
 * taken before it starts, by queues that answer at once and write nothing.
 */
const nothing =
  <T>(answer: T) =>
  async (items: unknown[]): Promise<T[]> =>
    items.map(() => answer)

singleton('ledger:openings', () => new GroupCommit(nothing('opened')))
singleton('ledger:notes', () => new GroupCommit(nothing(null)))
singleton('gateway:records', () => new GroupCommit(nothing(true)))
await import('#test/gateway-process.ts')
