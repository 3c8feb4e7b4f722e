/** An import never makes the ledger show credits that no transfer drew. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importUsage } from '#app/domain/ledger/import-usage.server.ts'
import { listPlans } from '#app/domain/plans/queries.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { expectBooksAgree, grant, purseOf } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const USD = 1_000_000_000_000n

describe('calls of elsewhere and a plan that pays from credits', () => {
  let folder: string
  let file: string
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'keymargin-import-'))
    file = path.join(folder, 'usage.csv')
    writeFileSync(file, 'timestamp,input_tokens,output_tokens\n2026-10-05T10:00:00Z,1000,100\n')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  async function importInto(workspaceId: string, keySource: 'platform' | 'workspace') {
    const plan = (await inSystem(listPlans)).find((one) => one.id === 'credits')
    if (!plan) throw new Error('no plan')
    const defaults = { tier: 'balanced' as const, model: 'anthropic/claude-sonnet-4.6', surface: 'agent_run' }
    return importUsage({ file, source: 'usage.csv', workspaceId, currency: 'usd', plan, keySource, defaults })
  }

  /** Credits that the calls say were drawn, and those that transfers moved. */
  async function drawn(workspaceId: string): Promise<[calls: bigint, transfers: bigint]> {
    const { rows } = await db.owner.query(
      'SELECT coalesce(sum(credit_pico), 0)::text AS pico FROM metering.inference_calls WHERE workspace_id = $1',
      [workspaceId],
    )
    return [BigInt(rows[0].pico), (await purseOf(db, workspaceId)).spent]
  }

  test('on the platform key are refused, with the ways that there are, and nothing is stored', async () => {
    const { id } = await makeWorkspace({ planId: 'credits' })
    await grant(db, id, USD)
    await expect(importInto(id, 'platform')).rejects.toMatchObject({
      kind: 'conflict',
      code: 'credits_not_imported',
      message: expect.stringContaining('--key-source workspace'),
    })
    expect(await drawn(id)).toEqual([0n, 0n])
    expect(await purseOf(db, id)).toMatchObject({ available: USD, spent: 0n })
  })

  test('on its own key are imported, and draw none', async () => {
    const { id } = await makeWorkspace({ planId: 'credits' })
    await grant(db, id, USD)
    expect(await importInto(id, 'workspace')).toMatchObject({ rows: 1, added: 1 })
    expect(await drawn(id)).toEqual([0n, 0n])
    await expectBooksAgree(db, id)
  })
})
