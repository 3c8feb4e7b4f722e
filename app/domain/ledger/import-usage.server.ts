import { createReadStream } from 'node:fs'
import { CsvError, parse } from 'csv-parse'
import { chargeModeFor, type KeySource, markupBpFor, type PlanRules } from '#app/domain/plans/plans.ts'
import { priceBookAt, priceTokens } from '#app/domain/pricing/pricing.ts'
import { type Catalogue, loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { NOT_CSV, notCsvAt } from './csv-lines.ts'
import { type CallRecord, settleCall } from './ledger.ts'
import { markupBasis } from './markup-basis.server.ts'
import { ensurePartitions, importCalls } from './record-calls.server.ts'
import {
  type Header,
  importedCallId,
  type LineError,
  readHeader,
  readRow,
  type UsageDefaults,
  type UsageRow,
} from './usage-csv.ts'

export interface UsageImport {
  file: string
  /** Names the file in the rows' identity: the same name and rows again add nothing. */
  source: string
  workspaceId: string
  /** What the workspace is billed in: its calls are priced by books of that currency. */
  currency: string
  plan: PlanRules
  keySource: KeySource
  defaults: UsageDefaults
  onProgress?: (done: { rows: number; added: number }) => void
}

export interface ImportResult {
  rows: number
  added: number
  alreadyThere: number
  months: string[]
}

const BATCH_ROWS = 1_000
/** What the ledger's columns hold, in pico-dollars: about nine million dollars for one call. */
const MOST_PICO = 2n ** 63n - 1n
/** So many errors are named; a file with more is wrong as a whole. */
const ERRORS_SHOWN = 20

async function* records(file: string): AsyncGenerator<{ cells: string[]; line: number }> {
  const parser = parse({ info: true, relax_column_count: true, skip_empty_lines: true, max_record_size: 65_536 })
  const source = createReadStream(file)
  // `pipe` passes no errors on: without this a missing file would leave the reader waiting for ever.
  source.once('error', (error) => parser.destroy(error))
  source.pipe(parser)
  for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>)
    yield { cells: record, line: info.lines }
}

async function* rowsOf(input: UsageImport): AsyncGenerator<UsageRow | LineError> {
  try {
    yield* readRows(input)
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    yield { line: notCsvAt(error), message: NOT_CSV }
  }
}

async function* readRows(input: UsageImport): AsyncGenerator<UsageRow | LineError> {
  let header: Header | undefined
  for await (const { cells, line } of records(input.file)) {
    if (!header) {
      const read = readHeader(cells)
      if ('message' in read) {
        yield read as LineError
        return
      }
      header = read
      continue
    }
    yield readRow(cells, line, header, input.defaults)
  }
  if (!header) yield { line: 1, message: 'the file is empty' }
}

/** First pass: the whole file is read and checked before anything is stored. @returns the days it touches */
async function check(
  input: UsageImport,
  catalogue: Catalogue,
  now: Date,
): Promise<{ rows: number; months: Map<string, Date> }> {
  const errors: LineError[] = []
  const months = new Map<string, Date>()
  let rows = 0
  for await (const row of rowsOf(input)) {
    if ('message' in row) errors.push(row)
    else {
      rows += 1
      months.set(row.at.toISOString().slice(0, 7), row.at)
      if (row.at > now) errors.push({ line: row.line, message: `timestamp ${row.at.toISOString()} lies in the future` })
      if (!catalogue.surfaces.has(row.surface))
        errors.push({ line: row.line, message: `surface "${row.surface.slice(0, 40)}" is not in the catalogue` })
      if (!bookOf(input, row, catalogue)?.tiers[row.tier])
        errors.push({
          line: row.line,
          message: `no price for tier ${row.tier} was in force at ${row.at.toISOString()}`,
        })
      else if (isTooLarge(await toCall(input, row, 0, catalogue)))
        errors.push({ line: row.line, message: 'the call costs more than can be stored; check its tokens and cost' })
    }
    if (errors.length >= ERRORS_SHOWN) break
  }
  if (errors.length) {
    const shown = errors.map(({ line, message }) => `  line ${line}: ${message}`).join('\n')
    throw new AppError(
      'bad_request',
      'invalid_usage_file',
      `Nothing was imported. Correct these lines and run it again:\n${shown}${errors.length >= ERRORS_SHOWN ? '\n  …' : ''}`,
    )
  }
  return { rows, months }
}

const bookOf = ({ workspaceId, currency }: UsageImport, { at, tier }: UsageRow, { books }: Catalogue) =>
  priceBookAt(books, at, { workspaceId, currency, tier })

const isTooLarge = ({ tierPricePico, rawCostPico }: CallRecord): boolean =>
  (tierPricePico ?? 0n) > MOST_PICO || (rawCostPico ?? 0n) > MOST_PICO

async function toCall(input: UsageImport, row: UsageRow, ordinal: number, catalogue: Catalogue): Promise<CallRecord> {
  const { workspaceId, keySource, source, plan } = input
  const book = bookOf(input, row, catalogue)
  if (!book) throw new Error('checked before')
  const list = catalogue.models.get(row.model)?.list
  // On the workspace's own key a cost nobody reported is unknown: such a call is held, never priced from a list.
  const listCost = list && keySource === 'platform' ? priceTokens(list, row) : null
  const chargeMode = chargeModeFor(plan, keySource)
  const dispatch = {
    workspaceId,
    id: importedCallId({ workspaceId, source, keySource }, row, ordinal),
    dispatchedAt: row.at,
    tokenId: null,
    surface: row.surface,
    provider: 'openrouter',
    model: row.model,
    upstreamModel: null,
    endpoint: 'chat' as const,
    fallbackOf: null,
    tier: row.tier,
    keySource,
    keyId: null,
    keyVersion: null,
    chargeMode,
    markupBp: markupBpFor(plan, chargeMode, keySource),
    priceBookVersion: book.version,
    streamed: false,
  }
  const costSource = row.rawCostPico !== null ? 'imported' : listCost !== null ? 'list_price' : 'unknown'
  const usage = {
    inputTokens: row.inputTokens,
    outputTokens: row.outputTokens,
    cacheReadTokens: null,
    cacheWriteTokens: null,
    rawCostPico: row.rawCostPico ?? listCost,
  }
  return settleCall(
    dispatch,
    {
      origin: 'import',
      status: 'ok',
      httpStatus: null,
      errorCode: null,
      responseModel: null,
      ...usage,
      reasoningTokens: null,
      usageSource: 'imported',
      costSource,
      costClamped: false,
      priceRow: null,
      latencyMs: null,
      firstByteMs: null,
      upstreamId: null,
    },
    book,
    await markupBasis(dispatch, usage),
  )
}

/**
 * Credits are in double entry, each call with its transfers. A call of the past drew none when it was made: imported as one that
 * did, the ledger would show credits drawn that no account gave. Drawing them now would take what is there for other calls.
 */
function refuseCredits({ plan, keySource }: UsageImport): void {
  if (chargeModeFor(plan, keySource) !== 'credits') return
  throw new AppError(
    'conflict',
    'credits_not_imported',
    `Nothing was imported: the plan ${plan.name} pays such calls from credits, and calls that were made elsewhere drew none. Import them as calls of the workspace's own key (--key-source workspace), or send what they came to as usage events, which draw credits (POST /v1/usage/events).`,
  )
}

/**
 * Imports a usage CSV into a workspace's ledger. The file is checked as a whole first: with any bad line, nothing is
 * stored. Killed half way, or run twice, a run adds exactly what is not there yet.
 * @throws AppError bad_request `invalid_usage_file` naming each bad line; conflict `credits_not_imported`
 */
export async function importUsage(input: UsageImport): Promise<ImportResult> {
  refuseCredits(input)
  const catalogue = await loadCatalogue()
  const { rows, months } = await check(input, catalogue, new Date())
  await ensurePartitions([...months.values()])
  const ordinals = new Map<string, number>()
  let batch: CallRecord[] = []
  let [done, added] = [0, 0]
  const flush = async () => {
    added += (await importCalls(batch)).size
    done += batch.length
    batch = []
    input.onProgress?.({ rows: done, added })
  }
  for await (const row of rowsOf(input)) {
    if ('message' in row) throw new Error(`the file changed while it was read: line ${row.line}`)
    const ordinal = ordinals.get(row.identity) ?? 0
    ordinals.set(row.identity, ordinal + 1)
    batch.push(await toCall(input, row, ordinal, catalogue))
    if (batch.length === BATCH_ROWS) await flush()
  }
  await flush()
  return { rows, added, alreadyThere: rows - added, months: [...months.keys()].sort() }
}
