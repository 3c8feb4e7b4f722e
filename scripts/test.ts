/**
 * `npm test`: everything, in the order in which a mistake is cheapest to find. Each step prints its time; the counts of all
 * test runners are added up at the end. `-- --only=lint,unit` runs some of them. A test has two tries, and one that needs the
 * second is named at the end.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { ensureChromium } from './chromium.ts'

const root = path.resolve(import.meta.dirname, '..')
const bin = (name: string) => path.join(root, 'node_modules', name)
const artifacts = path.join(root, 'artifacts')

interface Counts {
  passed: number
  failed: number
  skipped: number
  /** Of the passed, those that failed at their first try, each with what it said then. */
  again: string[]
}
interface Step {
  name: string
  args: string[]
  /** Where the runner leaves its JSON report. */
  report?: { file: string; read(json: unknown): Counts }
  before?: () => void
}

const firstLine = (text = ''): string => text.split('\n', 1)[0] ?? ''

interface VitestReport {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  testResults: {
    name: string
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[]
  }[]
}
const readVitest = (json: unknown): Counts => {
  const report = json as VitestReport
  const again = report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status, failureMessages }) => status === 'passed' && failureMessages.length > 0)
      .map((test) => `${path.relative(root, name)} > ${test.fullName}: ${firstLine(test.failureMessages[0])}`),
  )
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + report.numTodoTests,
    again,
  }
}

interface PlaywrightSuite {
  suites?: PlaywrightSuite[]
  specs: { file: string; title: string; tests: { status: string; results: { error?: { message?: string } }[] }[] }[]
}
interface PlaywrightReport {
  stats: { expected: number; unexpected: number; flaky: number; skipped: number }
  suites: PlaywrightSuite[]
}
const flakyOf = ({ suites = [], specs }: PlaywrightSuite): string[] => [
  ...suites.flatMap(flakyOf),
  ...specs.flatMap(({ file, title, tests }) =>
    tests
      .filter(({ status }) => status === 'flaky')
      .map(({ results }) => `${file} > ${title}: ${firstLine(results[0]?.error?.message)}`),
  ),
]
const readPlaywright = (json: unknown): Counts => {
  const { stats, suites } = json as PlaywrightReport
  const passed = stats.expected + stats.flaky
  return { passed, failed: stats.unexpected, skipped: stats.skipped, again: suites.flatMap(flakyOf) }
}

const vitest = (project: string): Step => ({
  name: project,
  args: [
    bin('vitest/vitest.mjs'),
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=artifacts/${project}.json`,
  ],
  report: { file: `${project}.json`, read: readVitest },
})

const steps: Step[] = [
  { name: 'lint', args: [bin('@biomejs/biome/bin/biome'), 'check', '.'] },
  {
    name: 'directions',
    args: [
      bin('dependency-cruiser/bin/dependency-cruiser.mjs'),
      'app',
      'workers',
      'scripts',
      'test',
      'server.ts',
      '--config',
      '.dependency-cruiser.cjs',
    ],
  },
  { name: 'unused', args: [bin('knip/bin/knip.js'), '--no-progress'] },
  { name: 'types', args: [bin('typescript/bin/tsc')] },
  { name: 'build', args: ['scripts/build.ts'] },
  { name: 'bundle', args: ['scripts/bundle-scan.ts'] },
  vitest('unit'),
  vitest('flows'),
  {
    name: 'browser',
    args: [bin('@playwright/test/cli.js'), 'test'],
    report: { file: 'e2e.json', read: readPlaywright },
    before: () => void ensureChromium(),
  },
]

function execute(step: Step): Promise<number> {
  const child = spawn(process.execPath, step.args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, NO_COLOR: '1', CI: '1' },
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

async function runStep(step: Step, total: Counts): Promise<boolean> {
  console.log(`\n── ${step.name}`)
  const started = performance.now()
  const report = step.report && path.join(artifacts, step.report.file)
  if (report) rmSync(report, { force: true })
  step.before?.()
  const ok = (await execute(step)) === 0
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  let counted = ''
  if (report && existsSync(report)) {
    const counts = step.report?.read(JSON.parse(readFileSync(report, 'utf8'))) as Counts
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += counts[key]
    total.again.push(...counts.again)
    counted = `, ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
    if (counts.passed === 0) return noTestRan(step.name)
  } else if (ok && report) return noTestRan(step.name)
  else if (ok) total.passed += 1
  if (!ok && !counted) total.failed += 1
  console.log(`── ${step.name}: ${ok ? 'ok' : 'FAILED'} in ${seconds} s${counted}`)
  return ok
}

function noTestRan(name: string): boolean {
  console.log(`── ${name}: FAILED, no test ran`)
  return false
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string' } } })
  const wanted = values.only?.split(',')
  const unknown = wanted?.filter((name) => !steps.some((step) => step.name === name)) ?? []
  if (unknown.length)
    throw new Error(`There is no step ${unknown.join(', ')}, only ${steps.map(({ name }) => name).join(', ')}.`)
  mkdirSync(artifacts, { recursive: true })
  const total: Counts = { passed: 0, failed: 0, skipped: 0, again: [] }
  const failed: string[] = []
  for (const step of steps.filter(({ name }) => !wanted || wanted.includes(name))) {
    if (!(await runStep(step, total))) failed.push(step.name)
  }
  console.log(failed.length ? `\nFailed: ${failed.join(', ')}` : '\nAll steps passed.')
  if (total.again.length) console.log(`Passed at the second try only:\n  ${total.again.join('\n  ')}`)
  console.log(
    `${total.passed} passed, ${Math.max(total.failed, failed.length ? 1 : 0)} failed, ${total.skipped} skipped`,
  )
  process.exit(failed.length ? 1 : 0)
}

await main()
