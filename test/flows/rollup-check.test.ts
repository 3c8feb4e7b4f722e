/** The rollups of a month are compared with its calls some days at a time: as well as in one statement, however many calls there are. */
import { expect, test } from 'vitest'
import { checkRollups } from '#app/domain/billing/internal/check-calls.server.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { billingWorld, freezeOctober, makeCustomer, NOVEMBER, OCTOBER } from './billing-world.ts'

const world = billingWorld()

/** As somebody with the owner's password could. */
const tamper = (set: string, workspaceId: string, day: string) =>
  world.db.owner.query(
    `UPDATE metering.call_daily_rollups SET ${set} WHERE workspace_id = $1 AND day = $2 AND key_source = 'platform'`,
    [workspaceId, day],
  )

test('a day at a time finds what the whole month at once finds, and no more than it is asked for', async () => {
  const { workspaceId } = await makeCustomer(world)
  const days = ['2026-10-03', '2026-10-04', '2026-10-20']
  await recordAll(
    await Promise.all(
      days.flatMap((day) => ['09', '10'].map((hour) => makeCall(workspaceId, new Date(`${day}T${hour}:00:00Z`)))),
    ),
  )
  const byDay = (most = 50) => checkRollups(workspaceId, OCTOBER, most, 1)
  expect(await byDay()).toEqual([])
  await tamper('charge_pico = charge_pico + 7', workspaceId, '2026-10-04')
  await tamper('calls = calls - 1', workspaceId, '2026-10-20')
  const found = await byDay()
  expect(found).toMatchObject([
    { what: 'rollup', reference: expect.stringContaining('2026-10-04'), column: 'charge_pico' },
    { what: 'rollup', reference: expect.stringContaining('2026-10-20'), column: 'calls', expected: '2', actual: '1' },
  ])
  expect(await checkRollups(workspaceId, OCTOBER, 50)).toEqual(found)
  expect(await byDay(1)).toEqual(found.slice(0, 1))
})

test('late calls of a closed month are compared with the rollups of the month that bills them', async () => {
  const customer = await makeCustomer(world)
  const { workspaceId } = customer
  const at = (text: string) => makeCall(workspaceId, new Date(text))
  await recordAll([await at('2026-10-05T10:00:00Z')])
  await freezeOctober(customer)
  await recordAll([await at('2026-10-31T23:00:00Z'), await at('2026-11-02T10:00:00Z')])
  expect(await checkRollups(workspaceId, NOVEMBER, 50)).toEqual([])
  await tamper('input_tokens = input_tokens + 1', workspaceId, '2026-10-31')
  expect(await checkRollups(workspaceId, NOVEMBER, 50)).toMatchObject([
    { reference: expect.stringContaining('2026-10-31'), column: 'input_tokens' },
  ])
  expect(await checkRollups(workspaceId, OCTOBER, 50)).toEqual([])
})
