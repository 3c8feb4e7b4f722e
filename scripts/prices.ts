/**
 * The price book by hand, with the functions that the operator console uses.
 *   npm run prices -- list
 *   npm run prices -- draft [--workspace SLUG] [--currency usd]      makes a copy of what holds now
 *   npm run prices -- show VERSION > draft.json · npm run prices -- edit VERSION FILE.json
 *   npm run prices -- preview VERSION [--month YYYY-MM]
 *   npm run prices -- publish VERSION · npm run prices -- rerate VERSION · npm run prices -- discard VERSION
 *   npm run prices -- currency SLUG eur
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { setWorkspaceCurrency } from '#app/domain/billing/set-currency.server.ts'
import { rerateCalls } from '#app/domain/ledger/rerate-calls.server.ts'
import {
  changeDraft,
  discardDraft,
  draftPrices,
  listPriceBooks,
  readTypedBook,
} from '#app/domain/operations/draft-prices.server.ts'
import { previewPrices } from '#app/domain/operations/preview-prices.server.ts'
import type { TypedDraft } from '#app/domain/operations/price-draft.ts'
import { publishPrices, publishRerate } from '#app/domain/operations/publish-prices.server.ts'
import { displayExact } from '#app/domain/pricing/currency.ts'
import { monthOf, parseMonth, shiftMonth } from '#app/platform/calendar-month.ts'
import { runCommand, UsageError } from './command.ts'
import { commandLineOperator } from './operator.ts'

const USAGE =
  'Usage: npm run prices -- list | draft [--workspace SLUG] [--currency CODE] | show VERSION | edit VERSION FILE | preview VERSION [--month YYYY-MM] | publish VERSION | rerate VERSION | discard VERSION | currency SLUG CODE'

const ctx = commandLineOperator()

async function list(): Promise<void> {
  for (const book of await listPriceBooks(ctx)) {
    const state = book.publishedAt ? 'published' : 'draft'
    const until = book.effectiveUntil ? ` until ${book.effectiveUntil}` : ''
    const rerate = book.rerate
      ? `, re-rate ${book.rerate.state}: ${displayExact(BigInt(book.rerate.differencePico), book.currency)}`
      : ''
    console.log(
      `${book.version}\t${state}\t${book.currency}\tfrom ${book.effectiveFrom}${until}\t${book.workspace ?? 'all'}\t${book.note}${rerate}`,
    )
  }
}

async function preview(version: number, month: string | undefined): Promise<void> {
  const of = month ? parseMonth(month) : shiftMonth(monthOf(new Date()), -1)
  const { rows, currency, otherCurrency, ...total } = await previewPrices(ctx, { version, month: of })
  const show = (amount: string) => displayExact(BigInt(amount), currency)
  const rerated = (amount: string | null) => (amount === null ? '' : `; by a re-rate run ${show(amount)}`)
  for (const row of rows)
    console.log(
      `${row.workspace}: ${row.calls} calls, ${row.pricedCalls} priced by it, ${show(row.oldPico)} → ${show(row.newPico)} (${show(row.differencePico)}${rerated(row.reratePico)})`,
    )
  console.log(
    `${of} in all: ${show(total.oldPico)} → ${show(total.newPico)} (${show(total.differencePico)}${rerated(total.reratePico)})`,
  )
  if (otherCurrency.length) console.log(`billed in another currency, not priced by it: ${otherCurrency.join(', ')}`)
}

async function rerate(version: number): Promise<void> {
  const { adjusted, calls, differencePico, leftCreditCalls } = await rerateCalls(
    await publishRerate(ctx, version),
    new Date(),
  )
  console.log(
    `${adjusted} of ${calls} calls charged differently, ${differencePico} pico in all; ${leftCreditCalls} paid out of credits left as they are`,
  )
}

async function say(done: Promise<unknown>, what: string): Promise<void> {
  await done
  console.log(what)
}

async function run(
  command: string | undefined,
  [first = '', second = '']: string[],
  values: Record<string, string | undefined>,
) {
  const version = Number(first)
  if (command === 'list') return list()
  if (command === 'draft') return console.log(`draft ${await draftPrices(ctx, values)}`)
  if (command === 'currency' && first && second)
    return say(setWorkspaceCurrency(ctx, { workspace: first, currency: second }), `${first} is billed in ${second}`)
  if (!Number.isSafeInteger(version) || version < 1) throw new UsageError()
  if (command === 'show') return console.log(JSON.stringify(await readTypedBook(ctx, version), null, 2))
  if (command === 'edit')
    return say(
      changeDraft(ctx, version, JSON.parse(readFileSync(second, 'utf8')) as TypedDraft),
      `draft ${version} is saved`,
    )
  if (command === 'preview') return preview(version, values.month)
  if (command === 'publish') return say(publishPrices(ctx, version), `price book ${version} is published`)
  if (command === 'rerate') return rerate(version)
  if (command === 'discard') return say(discardDraft(ctx, version), `draft ${version} is thrown away`)
  throw new UsageError()
}

function readArguments() {
  const options = { workspace: { type: 'string' }, currency: { type: 'string' }, month: { type: 'string' } } as const
  const { positionals, values } = parseArgs({ options, allowPositionals: true })
  const [command, ...rest] = positionals
  return { command, rest, values }
}

await runCommand(USAGE, readArguments, ({ command, rest, values }) => run(command, rest, values))
