import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import type { AuditPage, AuditRow } from '#app/domain/audit/queries.server.ts'
import { actions, toAuditView } from './audit-view.ts'

/** Actions of the operators' own chain, which no workspace reads. */
const operatorsOwn =
  /^(price|price_book|catalogue|catalogues|call_costs|provider_report|job|alert|reconciliation|billing|operator)\./

const root = path.resolve(import.meta.dirname, '../../..')

function actionsInCode(): string[] {
  const files = globSync(['app/domain/**/*.ts', 'scripts/*.ts'], { cwd: root }).filter(
    (file) => !file.endsWith('.test.ts'),
  )
  const sources = files.map((file) => readFileSync(path.join(root, file), 'utf8'))
  const found = sources
    .filter((source) => /recordAudit\(/.test(source))
    .flatMap((source) => [...source.matchAll(/'([a-z_]+\.[a-z_]+)'/g)].map(([, action]) => action as string))
  return [...new Set(found)].filter((action) => !operatorsOwn.test(action))
}

const entry = (action: string, detail: Record<string, unknown>, more: Partial<AuditRow> = {}): AuditRow => ({
  seq: '1',
  at: '2026-11-21T10:00:00.000Z',
  actorKind: 'user',
  actorName: 'Ada Okafor',
  action,
  subjectType: 'workspace',
  subjectId: 'w1',
  detail,
  ...more,
})

function lineOf(row: AuditRow, page: Partial<AuditPage> = {}) {
  const verdict = { entries: 1, brokenAt: null }
  const { lines } = toAuditView(
    '/w/acme',
    { rows: [row], next: null, verdict, names: {}, currencies: {}, ...page },
    true,
  )
  const [line] = lines
  return { who: line?.who, what: line?.what, facts: Object.fromEntries(line?.facts ?? []), links: line?.links }
}

describe('the audit trail on screen', () => {
  it('has words for every action that the code writes', () => {
    const inCode = actionsInCode()
    expect(inCode.length).toBeGreaterThan(20)
    expect(inCode.filter((action) => !(action in actions))).toEqual([])
  })

  it('says what a changed budget was before', () => {
    const detail = {
      ...{ name: 'Production', limitAmount: '10', limitAmountBefore: '5', hard: true, hardBefore: false },
      ...{ enabled: true, countsOwnKey: false, currency: 'eur' },
    }
    expect(lineOf(entry('budget.changed', detail)).facts).toMatchObject({
      Name: 'Production',
      Limit: '€5.00 → €10.00',
      'At its limit': 'only tells → refuses calls that do not fit',
      Switched: 'on',
    })
  })

  it('says whose role changed from what into what', () => {
    const row = entry(
      'member.role_changed',
      { from: 'member', to: 'owner' },
      { subjectType: 'member', subjectId: 'u2' },
    )
    expect(lineOf(row, { names: { u2: 'Chen Li' } }).facts).toEqual({ Person: 'Chen Li', Role: 'Member → Owner' })
    expect(lineOf(row).facts.Person).toBe('a former member')
  })

  it('says amounts of an invoice in its currency, and leads to it', () => {
    const detail = { month: '2026-10', totalCents: '5905', invoice: 'in_1', number: 'MY-0002' }
    const row = entry('invoice_run.finalized', detail, {
      subjectType: 'invoice_run',
      subjectId: 'r1',
      actorKind: 'system',
      actorName: null,
    })
    expect(lineOf(row, { currencies: { r1: 'gbp' } })).toEqual({
      ...{ who: 'Keymargin', what: 'Issued an invoice' },
      facts: { Month: 'October 2026', Total: '£59.05', 'Stripe’s id': 'in_1', Number: 'MY-0002' },
      links: [{ label: 'Invoice', to: '/w/acme/settings/billing/invoices/r1' }],
    })
  })

  it('says of a released invoice why it was held, not why it was released', () => {
    const facts = (reason: string) => lineOf(entry('invoice_run.released', { reason, resolution: 'resume' })).facts
    expect(facts('operator_hold')).toEqual({ Decided: 'Resume', 'Held for': 'an operator’s decision' })
    expect(facts('invoice_missing')).toMatchObject({ 'Held for': 'invoice missing' })
  })

  it('names plans and surfaces, and says nothing of what is not set', () => {
    const names = { pro: 'Pro', enterprise: 'Enterprise', agent_run: 'Agent runs' }
    const planned = lineOf(entry('workspace.plan_changed', { from: 'pro', to: 'enterprise', cause: 'sweep' }), {
      names,
    })
    expect(planned.facts).toEqual({ Plan: 'Pro → Enterprise', Cause: 'Stripe was read again' })
    const told = entry('workspace.plan_changed', { from: 'pro', to: 'enterprise', cause: 'evt_1' })
    expect(lineOf(told, { names }).facts.Cause).toBe('Stripe told us (event evt_1)')
    const detail = { surface: 'agent_run', dailyCapUsd: '5', dailyCapUsdBefore: '2.5' }
    expect(lineOf(entry('workspace.fallback_allowed', detail), { names }).facts).toEqual({
      Surface: 'Agent runs',
      'At most per UTC day': '$2.50 → $5.00',
    })
    const started = entry('checkout.started', { purpose: 'plan', plan: 'pro', cents: '' })
    expect(lineOf(started, { names }).facts).toEqual({ For: 'a plan', Plan: 'Pro' })
  })

  it('says in words where granted credits come from', () => {
    const granted = (reference: string) =>
      lineOf(entry('credits.granted', { kind: 'promotional', usd: '25', reference }), {
        names: { team: 'Harness Team' },
      }).facts.Granted
    expect(granted('operator:f1')).toBe('by hand, in the operator console (form f1)')
    expect(granted('2026-11:team')).toBe('plan Harness Team, November 2026')
    expect(granted('stripe:cs_test_1')).toBe('A payment at Stripe (cs_test_1)')
    expect(granted('demo')).toBe('demo')
  })

  it('says who it was by the kind of actor, whatever a person is called', () => {
    const who = (actorKind: string, actorName: string | null) =>
      lineOf(entry('member.added', {}, { actorKind, actorName })).who
    expect(['system', 'operator', 'user'].map((name) => who('user', name))).toEqual(['system', 'operator', 'user'])
    expect([who('system', null), who('operator', null), who('user', null)]).toEqual([
      'Keymargin',
      'An operator',
      'A former member',
    ])
  })

  // Euros of before were told as dollars.
  it('tells a difference that was written off in its currency, and without one where it does not say which', () => {
    const byHow = (detail: object) =>
      lineOf(entry('difference.written_off', { moneyPico: '-12340000000000', ...detail })).facts['Differs by']
    expect(byHow({ kind: 'second_invoice', currency: 'eur' })).toBe('−€12.34')
    expect(byHow({ kind: 'second_invoice' })).toBe('−12.34')
    expect(byHow({ kind: 'provider_usage' })).toBe('−$12.34')
  })

  // One entry that could not be told took the whole page with it.
  it('tells values that it did not expect as they are, and names of no thing as nothing else', () => {
    const detail = { cents: '12.5', moneyPico: 'much', models: 'constructor toString', position: 'last' }
    expect(lineOf(entry('difference.written_off', { ...detail, kind: 'constructor' })).facts).toEqual({
      'Place among the provider’s keys': 'last',
      Models: 'constructor, toString',
      'What differed': 'constructor',
      'Differs by': 'much',
      Amount: '12.5',
    })
    const refused = entry('provider_key.refused_by_provider', { provider: 'gone', reason: 'rate_limited' })
    expect(lineOf(refused).facts).toEqual({ Provider: 'gone', Reason: 'rate limited' })
  })

  it('spells out an action and values that it does not know, and shows no secret', () => {
    const key = `sk-or-v1-${'a'.repeat(64)}`
    expect(lineOf(entry('door.left_open', { howLong: 3, note: `pasted ${key}`, nothing: null }))).toMatchObject({
      what: 'Door left open',
      facts: { 'How long': '3', Note: 'pasted [secret]' },
    })
  })
})
