/** The operator's prices: what is missing, what is set by hand, and that the next call is priced by it. */
import { beforeAll, describe, expect, it } from 'vitest'
import { verifyAuditChain } from '#app/domain/audit/record-audit.server.ts'
import { readPrices } from '#app/domain/operations/read-prices.server.ts'
import { requestCatalogueRefresh } from '#app/domain/operations/request-refresh.server.ts'
import { removePrice, setPrice, type TypedPrices } from '#app/domain/operations/set-price.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { findPrice } from '#app/domain/pricing/find-price.server.ts'
import { flushUnpriced, noteUnpriced } from '#app/domain/pricing/note-unpriced.server.ts'
import { drainGateway } from '#app/gateway/gateway.server.ts'
import { takeCallsAgain } from '#app/gateway/in-flight.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makePerson, personPassword, useWeb, Visitor } from '#test/web.ts'
import { databaseHash } from './database-hash.ts'

const operator = (isOperator = true): OperatorCtx => ({
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator }),
  now: () => new Date(),
  requestId: newId(),
})

const given: TypedPrices = {
  provider: 'akash',
  model: 'org/model-nobody-priced',
  input: '0.25',
  output: '$1.5',
  cacheRead: '0.025',
  cacheWrite: '',
  note: 'from their sales page',
}
const { provider, model } = given
const ask = () => findPrice({ provider, priceTable: null, model, inputTokens: 10, at: new Date() })

describe('the operator’s prices', () => {
  const db = useDatabase()
  const web = useWeb(db)

  /** As calls do, and written. */
  async function noteCalls(calls: number): Promise<void> {
    for (let n = 0; n < calls; n++) noteUnpriced(provider, model, new Date())
    await flushUnpriced()
  }

  it('two long ids that are shown alike are one row, and lose no other model’s note', async () => {
    const long = 'x'.repeat(200)
    for (const id of [`${long}-1`, `${long}-2`, 'beside-them']) noteUnpriced(provider, id, new Date())
    await flushUnpriced()
    const { rows } = await db.owner.query('DELETE FROM unpriced_models RETURNING model, calls')
    expect(rows.sort((a, b) => a.model.length - b.model.length)).toEqual([
      { model: 'beside-them', calls: '1' },
      { model: long, calls: '2' },
    ])
  })

  it('a process that ends writes what it has noted', async () => {
    noteUnpriced(provider, 'noted-at-the-end', new Date())
    try {
      await drainGateway(0)
    } finally {
      takeCallsAgain()
    }
    const { rows } = await db.owner.query(
      `DELETE FROM unpriced_models WHERE model = 'noted-at-the-end' RETURNING calls`,
    )
    expect(rows).toEqual([{ calls: '1' }])
  })

  it('the tables price what is kept in a cache for an hour apart from what is kept for minutes', async () => {
    const question = { provider: 'anthropic', priceTable: 'anthropic', model: 'claude-sonnet-4-5', inputTokens: 10 }
    const row = await findPrice({ ...question, at: new Date('2026-11-21T12:00:00Z') })
    const price = (name: 'input' | 'cacheWrite' | 'cacheWriteHour') => Number(row?.usd[name]) * 1e6
    expect(price('cacheWriteHour')).toBeCloseTo(2 * price('input'), 9)
    expect(price('cacheWrite')).toBeLessThan(price('cacheWriteHour'))
  })

  it('a price typed per million tokens is stored exactly per token, used by the next call, and taken back', async () => {
    expect(await ask()).toBeNull()
    await noteCalls(2)
    expect((await readPrices(operator())).unpriced).toMatchObject([{ provider, model, calls: '2' }])
    await setPrice(operator(), given)
    const { unpriced, overrides } = await readPrices(operator())
    expect(unpriced).toEqual([])
    expect(overrides).toMatchObject([
      {
        inputUsd: '0.00000025',
        outputUsd: '0.0000015',
        cacheReadUsd: '0.000000025',
        cacheWriteUsd: null,
        note: given.note,
      },
    ])
    const row = await ask()
    expect(row).toMatchObject({ source: 'override', model })
    expect(Number(row?.usd.input)).toBe(0.25e-6)
    expect(row?.usd.cacheWrite).toBeUndefined()
    await setPrice(operator(), { ...given, output: '2' })
    expect((await readPrices(operator())).overrides).toMatchObject([{ outputUsd: '0.000002' }])
    await removePrice(operator(), { provider, model })
    expect(await ask()).toBeNull()
    const { rows } = await db.owner.query('SELECT action FROM audit_events WHERE workspace_id IS NULL ORDER BY seq')
    expect(rows.map((one) => one.action)).toEqual(['price.set', 'price.set', 'price.removed'])
    expect((await inSystem((tx) => verifyAuditChain(tx, null))).brokenAt).toBeNull()
  })

  it('a model that a process still put on the list after it was priced is not shown as unpriced', async () => {
    await setPrice(operator(), given)
    await noteCalls(1)
    expect((await readPrices(operator())).unpriced).toEqual([])
    await removePrice(operator(), { provider, model })
    expect((await readPrices(operator())).unpriced).toMatchObject([{ model }])
  })

  it.each<[Partial<TypedPrices>, string]>([
    [{ input: '' }, 'input'],
    [{ input: '-1' }, 'input'],
    [{ output: '1e-6' }, 'output'],
    [{ cacheRead: 'free' }, 'cacheRead'],
    [{ cacheWrite: '0.0000000000001' }, 'cacheWrite'],
    [{ model: 'with space' }, 'model'],
    [{ note: 'x'.repeat(201) }, 'note'],
  ])('refuses %o at its field', async (change, field) => {
    const before = await databaseHash(db.owner)
    await expect(setPrice(operator(), { ...given, ...change })).rejects.toMatchObject({ code: 'invalid_price', field })
    expect(await databaseHash(db.owner)).toBe(before)
  })

  it('asks for the lists at most once at a time', async () => {
    await requestCatalogueRefresh(operator())
    await requestCatalogueRefresh(operator())
    const { rows } = await db.owner.query(
      `SELECT count(*)::int AS jobs FROM graphile_worker.jobs WHERE task_identifier = 'refresh-catalogues'`,
    )
    expect(rows[0].jobs).toBe(1)
  })

  it('is closed to everybody else', async () => {
    for (const attempt of [
      readPrices(operator(false)),
      setPrice(operator(false), given),
      removePrice(operator(false), { provider, model }),
      requestCatalogueRefresh(operator(false)),
    ])
      await expect(attempt).rejects.toMatchObject({ kind: 'forbidden' })
  })

  describe('the page', () => {
    let visitor: Visitor
    beforeAll(async () => {
      const { userId, email } = await makePerson()
      await inSystem((tx) => tx.operator.create({ data: { userId } }))
      visitor = new Visitor(web.origin)
      await visitor.signIn(email, personPassword)
    })

    it('lists what is unpriced with its form, and shows a price per million as it was typed', async () => {
      const html = await (await visitor.ask(`/operator/prices?${new URLSearchParams({ provider, model })}`)).text()
      expect(html).toContain(`value="${model}"`)
      const fields: Record<string, string> = { intent: 'set-price', ...given }
      const answer = await (await visitor.post('/operator/prices', fields)).text()
      expect(answer).toContain('Price set.')
      expect(answer).toContain('$0.025')
      expect(answer).toContain('as input')
      const asked = `/operator/prices?${new URLSearchParams({ delete: `${provider} ${model}` })}`
      expect(await (await visitor.ask(asked)).text()).toContain('the cost of its calls is unknown')
      const deleted = await visitor.post('/operator/prices', { intent: 'remove-price', provider, model })
      expect(await deleted.text()).toContain('Price deleted.')
      expect((await visitor.post('/operator/prices', { intent: 'remove-price', provider, model })).status).toBe(404)
    })

    it('gives nothing back of what it refuses', async () => {
      const fields = { intent: 'set-price', ...given, input: 'Zq7pLm2xVtMARK' }
      const response = await visitor.post('/operator/prices', fields)
      expect(response.status).toBe(400)
      expect(await response.text()).not.toContain('Zq7pLm2xVtMARK')
    })
  })
})
