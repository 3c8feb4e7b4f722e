import { expect, test } from 'vitest'
import type { OperatedInvoice } from '#app/domain/billing/operate-invoice.server.ts'
import { toRunView } from './run-view.ts'

const line = (position: number, amountCents: string, creditedCents = '0') =>
  ({
    ...{ position, lineKey: `key-${position}`, description: `Line ${position}`, calls: '1', exactPico: '0' },
    ...{ amountCents, creditedCents },
  }) as OperatedInvoice['lines'][number]

const viewOf = (lines: OperatedInvoice['lines'], currency = 'usd') =>
  toRunView({
    invoice: {
      ...{ runId: 'r', workspaceId: 'w', workspaceName: 'Acme', month: '2026-10', kind: 'ai_usage', currency },
      ...{ state: 'done', totalCents: '100', calls: '1', exactPico: '0', openingResiduePico: '0' },
      ...{ closingResiduePico: '0', frozenAt: '2026-11-03T02:00:00.000Z' },
    } as OperatedInvoice['invoice'],
    ...{ lines, resolutions: [], unfinished: false, creditable: true, creditNotes: [], lastMonthCents: null },
  })

test('every line of a long invoice can be credited, up to what is left of it', () => {
  const view = viewOf([...Array.from({ length: 98 }, (_, n) => line(n + 1, '100')), line(99, '100', '30')])
  expect(view.lines.filter(({ left }) => left !== null)).toHaveLength(99)
  expect(view.lines.at(-1)).toMatchObject({ amount: '$1.00', credited: '$0.30', left: '$0.70' })
})

test('nothing is offered of a line that billed nothing or was given back, in any currency', () => {
  const view = viewOf([line(1, '0'), line(2, '500', '500'), line(3, '500')], 'jpy')
  expect(view.lines.map(({ left }) => left)).toEqual([null, null, '¥500'])
})
