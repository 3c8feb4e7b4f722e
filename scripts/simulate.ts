/**
 * Plays simulated installations: `npm run simulate -- --seeds 1000000 --from 1 --jobs 2`. Prints how many were played and every
 * seed that broke a guarantee; one alone is played again by `--from SEED --seeds 1`.
 */
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Played, simulate } from '#test/simulator/simulate.ts'

interface Share {
  from: number
  seeds: number
}
interface Report extends Played {
  played: number
  failures: string[]
}

async function play({ from, seeds }: Share, report: (part: Report) => void): Promise<void> {
  const part = (): Report => ({ played: 0, failures: [], calls: 0, runs: 0, requests: 0 })
  let gathered = part()
  for (let seed = from; seed < from + seeds; seed += 1) {
    gathered.played += 1
    try {
      const { calls, runs, requests } = await simulate(seed)
      gathered.calls += calls
      gathered.runs += runs
      gathered.requests += requests
    } catch (error) {
      gathered.failures.push(`seed ${seed}: ${(error as Error).message}`)
    }
    if (gathered.played < 10_000) continue
    report(gathered)
    gathered = part()
  }
  report(gathered)
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new Error(`--${name} must be a whole number above 0`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '10000' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '1' },
    },
  })
  const [seeds, from, jobs] = [
    wholeNumber('seeds', values.seeds),
    wholeNumber('from', values.from),
    wholeNumber('jobs', values.jobs),
  ]
  const total: Report = { played: 0, failures: [], calls: 0, runs: 0, requests: 0 }
  const each = Math.ceil(seeds / jobs)
  const shares = Array.from({ length: jobs }, (_, job): Share => {
    const start = from + job * each
    return { from: start, seeds: Math.max(0, Math.min(each, from + seeds - start)) }
  })
  const run = (share: Share) =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: share })
      worker.on('message', (part: Report) => {
        total.played += part.played
        total.calls += part.calls
        total.runs += part.runs
        total.requests += part.requests
        total.failures.push(...part.failures)
        for (const failure of part.failures) console.error(failure)
        if (total.played % 100_000 < part.played) console.log(`${total.played} seeds, ${total.failures.length} failed`)
      })
      worker.once('error', reject)
      worker.once('exit', () => resolve())
    })
  await Promise.all(shares.map(run))
  console.log(
    `${total.played} seeds from ${from}: ${total.failures.length} failed; ${total.calls} calls, ${total.runs} invoice runs, ${total.requests} Stripe requests.`,
  )
  process.exitCode = total.failures.length > 0 ? 1 : 0
}

if (isMainThread) {
  main().catch((error: Error) => {
    console.error(error.message)
    process.exitCode = 1
  })
} else await play(workerData as Share, (part) => parentPort?.postMessage(part))
