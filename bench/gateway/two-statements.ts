import type { CallRecord } from '#app/domain/ledger/ledger.ts'
import { type Opening, openAttempts } from '#app/domain/ledger/open-attempts.server.ts'
import { recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import { GroupCommit } from '#app/platform/group-commit.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import { makeCall } from '#test/call-factory.ts'
import { exactCostPico } from './shapes.ts'

/**
 * The two durable statements of a call, its facts made up beforehand: what the ledger's promise costs a gateway that does nothing
 * else. The workspace is named by BENCH_WORKSPACE.
 */
const workspaceId = process.env.BENCH_WORKSPACE as string
const call: CallRecord = {
  ...(await makeCall(workspaceId, new Date())),
  origin: 'gateway',
  rawCostPico: BigInt(exactCostPico),
}

const openings = new GroupCommit(openAttempts)
const records = new GroupCommit(recordCalls)

/** Writes the attempt of a call that is about to go out. */
export async function open(): Promise<Opening> {
  const id = newId()
  const opening: Opening = {
    ...call,
    id,
    dispatchedAt: idTime(id),
    processId: 'bench',
    promptTokensEstimate: 250,
    keyEpoch: 0n,
    mostChargePico: null,
    mostCostPico: null,
  }
  if ((await openings.add(opening)) !== 'opened') throw new Error('an attempt could not be opened')
  return opening
}

/** Puts the call into the ledger. */
export async function settle({ id, dispatchedAt }: Opening): Promise<void> {
  if (!(await records.add({ ...call, id, dispatchedAt }))) throw new Error('a call could not be settled')
}
