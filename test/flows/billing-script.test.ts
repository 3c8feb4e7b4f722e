import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { inSystem } from '#app/platform/db.server.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { makeWorkspace } from '#test/factories.ts'
import { billingWorld, expectOneInvoice, makeCustomer, recordUsage, stripeInvoices } from './billing-world.ts'

const world = billingWorld()
const SCRIPT = path.resolve(import.meta.dirname, '../../scripts/billing.ts')
/** A month that is over whatever the machine's clock says. */
const MONTH = '2025-03'

async function billing(...args: string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, [SCRIPT, ...args], { env: world.db.childEnv({ NODE_OPTIONS: '' }) })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, text }
}

async function customerWithUsage() {
  const customer = await makeCustomer(world)
  await recordUsage(customer.workspaceId, [
    { at: '2025-03-10T00:00:00.000Z', tierPrice: '20.345', raw: '8' },
    { at: '2025-03-11T00:00:00.000Z', tierPrice: '5', keySource: 'platform' },
  ])
  const { slug } = await inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { id: customer.workspaceId } }))
  return { customer, slug }
}

const runsOf = (workspaceId: string) => inSystem((tx) => tx.invoiceRun.findMany({ where: { workspaceId } }))

describe('npm run billing', () => {
  test('preview changes nothing and says what close then does; a second close does nothing twice', async () => {
    const { customer, slug } = await customerWithUsage()
    const preview = await billing('preview', '--month', MONTH, '--workspace', slug)
    expect(preview).toMatchObject({
      code: 0,
      text: expect.stringMatching(/preview, would be bill[\s\S]*\$17\.34 {2}total/),
    })
    expect(await runsOf(customer.workspaceId)).toEqual([])
    const close = await billing('close', '--month', MONTH, '--workspace', slug)
    expect(close).toMatchObject({
      code: 0,
      text: expect.stringMatching(/: done[\s\S]*exact 17345000000000 pico[\s\S]*residue 0 → 5000000000 pico/),
    })
    const [run] = await runsOf(customer.workspaceId)
    await expectOneInvoice(world, customer, run?.id ?? '')
    const again = await billing('close', '--month', MONTH, '--workspace', slug)
    expect(again).toMatchObject({ code: 0, text: expect.stringContaining('was closed before; done') })
    expect(stripeInvoices(world, customer)).toHaveLength(1)
    // It took up what the month itself had left over, and came to a cent more than its invoice.
    const late = await billing('preview', '--month', MONTH, '--workspace', slug)
    expect(late.text).toMatch(/was closed before; done[\s\S]*residue 0 → 5000000000 pico/)
  })

  test('verify recomputes an invoice by its run or number, and ends with exit code 2 where it differs', async () => {
    const { id: workspaceId, slug } = await makeWorkspace({ planId: 'pro' })
    await recordAll([await makeCall(workspaceId, new Date('2025-03-10T00:00:00Z'), { outputTokens: 9n })])
    expect((await billing('close', '--month', MONTH, '--workspace', slug)).text).toContain(': done_zero')
    const [run] = await runsOf(workspaceId)
    const verify = () => billing('verify', '--invoice', run?.id ?? '')
    expect(await verify()).toMatchObject({ code: 0, text: expect.stringContaining(': verified, 1 calls') })
    await world.db.owner.query(`BEGIN; SET LOCAL session_replication_role = replica;
      UPDATE metering.inference_calls SET output_tokens = 10 WHERE workspace_id = '${workspaceId}'; COMMIT`)
    expect(await verify()).toMatchObject({
      code: 2,
      text: expect.stringMatching(/DIFFERS[\s\S]*Call [0-9a-f-]{36} differs in output_tokens/),
    })
    expect(await billing('verify', '--invoice', 'nothing')).toMatchObject({ code: 1 })
  })

  test('a run that needs a human ends with exit code 2', async () => {
    const { customer, slug } = await customerWithUsage()
    world.sandbox.world.state.customers[customer.customerId]!.currency = 'eur'
    expect(await billing('close', '--month', MONTH, '--workspace', slug)).toMatchObject({
      code: 2,
      text: expect.stringContaining(': held'),
    })
  })

  test('a wrong month, a missing one and an unknown workspace are said in one line', async () => {
    expect(await billing('close', '--month', '2025-13')).toMatchObject({
      code: 1,
      text: '"2025-13" is not a month: write YYYY-MM, such as 2026-10.\n',
    })
    expect((await billing('close')).text).toContain('Usage:')
    expect(await billing('preview', '--month', MONTH, '--workspace', 'nobody')).toMatchObject({
      code: 1,
      text: 'There is no workspace nobody.\n',
    })
  })
})
