import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import { startStripeSandbox } from '#test/sandbox/stripe/stripe-sandbox.ts'
import { type LocalState, localState } from './demo/state.ts'
import { startEmbeddedPostgres } from './postgres/embedded.ts'

const answers = async (url: string) =>
  fetch(url).then(
    () => true,
    () => false,
  )

/**
 * Settings for a command-line tool: those of the environment, or, where no DATABASE_URL is set, those of the local demo,
 * whether it is running or not.
 * @returns what to call at the end
 */
export async function openSettings(): Promise<() => Promise<void>> {
  if (process.env.DATABASE_URL || process.env.DATABASE_URL_FILE) return async () => {}
  const state = localState('demo')
  const file = path.join(state.dir, 'settings.json')
  if (!existsSync(file))
    throw new Error('Set DATABASE_URL and the other settings (docs/operations.md), or start `npm run demo` once.')
  const settings = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const end of closers) await end()
  }
  try {
    await open(state, settings, closers)
  } catch (error) {
    await close() // what was started goes on by itself, and the command would never end
    throw error
  }
  return close
}

/** Puts the demo's settings into the environment, and starts what of it is not running. @param closers gets what ends each, the last first */
async function open(state: LocalState, settings: Record<string, string>, closers: (() => Promise<void>)[]) {
  const postgres = await startEmbeddedPostgres(state.postgresDir)
  if (!postgres.adopted) closers.unshift(() => postgres.stop())
  const database = new URL(settings.DATABASE_URL as string)
  database.port = new URL(postgres.url).port
  Object.assign(process.env, { LOG_LEVEL: 'warn' }, settings, { DATABASE_URL: database.href })
  if (!(await answers(settings.STRIPE_API_BASE as string))) {
    const stripe = await startStripeSandbox({ stateFile: state.stripeStateFile })
    process.env.STRIPE_API_BASE = stripe.url
    closers.unshift(() => stripe.close())
  }
  if (!(await answers(settings.PROVIDER_BASE_URL_OPENROUTER as string))) {
    const openrouter = await startOpenRouterSandbox({ stateFile: state.openrouterStateFile })
    process.env.PROVIDER_BASE_URL_OPENROUTER = openrouter.baseUrl
    closers.unshift(() => openrouter.close())
  }
}
