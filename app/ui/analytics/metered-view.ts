import type { MeteredSums, MeteredUsage } from '#app/domain/analytics/metered-usage.server.ts'
import { count, money } from '#app/ui/money.ts'
import { utcDay } from '#app/ui/time.ts'

interface MeteredRow {
  key: string
  day: string
  name: string
  events: string
  quantity: string
  credits: string
  charge: string
}

export interface MeteredView {
  rows: MeteredRow[]
  days: MeteredRow[]
  total: { credits: string; charge: string }
}

function toRow(currency: string, sums: MeteredSums, day = ''): MeteredRow {
  const { meter, name, unit, events, quantity, creditPico, chargePico } = sums
  const [whole = '0', fraction] = quantity.split('.')
  return {
    ...{ key: `${day} ${meter}`, day: day && utcDay(day), name, events: count(events) },
    quantity: `${count(whole)}${fraction ? `.${fraction}` : ''} × ${unit}`,
    ...{ credits: money(creditPico), charge: money(chargePico, currency) },
  }
}

export function toMeteredView({ byMeter, byDay }: MeteredUsage, currency: string): MeteredView {
  const sum = (name: 'creditPico' | 'chargePico') => byMeter.reduce((total, row) => total + row[name], 0n)
  return {
    rows: byMeter.map((row) => toRow(currency, row)),
    days: byDay.map((row) => toRow(currency, row, row.day)),
    total: { credits: money(sum('creditPico')), charge: money(sum('chargePico'), currency) },
  }
}
