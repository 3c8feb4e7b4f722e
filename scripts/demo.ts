/**
 * `npm run demo`: the whole product on this machine with nothing to configure. Database, sandbox OpenRouter, sandbox Stripe,
 * web and worker; Ctrl-C stops all of it, a second start keeps the data, `-- --fresh` starts over.
 */
import { parseArgs } from 'node:util'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { sampleKeys, samplesOf } from '#test/sandbox/providers/samples.ts'
import { ensureBuilt } from './build.ts'
import { startChild } from './demo/children.ts'
import { lifecycle } from './demo/lifecycle.ts'
import { type DemoTokens, demoEmail, demoPassword, operatorEmail, seedDemo } from './demo/seed.ts'
import { forgetLocalState, type LocalState, localState } from './demo/state.ts'
import { type LocalSystem, startLocalSystem } from './demo/system.ts'
import { startEmbeddedPostgres } from './postgres/embedded.ts'

const say = (line = '') => console.log(line)

/** A token is shown once by the product; the demo keeps its own copies for its snippets. */
async function seedAndKeepTokens(state: LocalState, system: LocalSystem): Promise<DemoTokens> {
  Object.assign(process.env, system.settings)
  await openVault()
  const seeded = await seedDemo(system, say)
  await closeDatabase()
  const kept = (slug: string) =>
    state.secret(`${slug}-token`, () => seeded?.[slug] ?? 'make-a-token-in-Settings-Tokens')
  return { cedar: kept('cedar'), acme: kept('acme') }
}

/** Providers whose keys look unlike each other, and a model to call there. */
const worthTrying: [ProviderId, model: string][] = [
  ['openai', 'gpt-5-mini'],
  ['anthropic', 'claude-sonnet-4-6'],
  ['google', 'gemini-3-flash'],
  ['bedrock', 'amazon.nova-lite-v1:0'],
  ['azure', 'prod-gpt5'],
]

const keysToSave = (): string =>
  worthTrying
    .map(([id, model]) => `    x-byok-provider: ${id}, model ${model}\n      ${samplesOf(id)[0]?.[1]}`)
    .join('\n')

function printWelcome(system: LocalSystem, { acme: token, cedar }: DemoTokens): void {
  const origin = system.settings.APP_ORIGIN
  say(`
Keymargin is running at ${origin}

  Sign in as (password for all: ${demoPassword})
    ${demoEmail('acme', 'billing_admin').padEnd(30)} Acme, Enterprise at first: may manage the key and see invoices
    ${demoEmail('acme', 'owner').padEnd(30)} Acme: everything in the workspace
    ${demoEmail('acme', 'developer').padEnd(30)} Acme: gateway tokens
    ${demoEmail('acme', 'member').padEnd(30)} Acme: reads only
    ${demoEmail('birch', 'owner').padEnd(30)} Birch, Pro: a plan without own keys
    ${demoEmail('cedar', 'owner').padEnd(30)} Cedar: keys of six providers, each call paid by its own
    ${demoEmail('dune', 'owner').padEnd(30)} Dune: credits, and a monthly fee for its own key
    ${demoEmail('ember', 'owner').padEnd(30)} Ember: at cost, and 5 % of it on its own key
    ${operatorEmail.padEnd(30)} the vendor's operator console: at first, Ember's last invoice waits there to be approved or held

  Call the gateway with curl

curl -N ${origin}/v1/chat/completions \\
  -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' \\
  -d '{"model":"anthropic/claude-sonnet-4.6","stream":true,"messages":[{"role":"user","content":"Say hello"}]}'

  or with the openai client (paste into a file demo-call.mjs here and run: npx node demo-call.mjs)

import OpenAI from 'openai'
const client = new OpenAI({ baseURL: '${origin}/v1', apiKey: '${token}' })
const stream = await client.chat.completions.create({
  model: 'anthropic/claude-sonnet-4.6', stream: true, messages: [{ role: 'user', content: 'Say hello' }],
})
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '')

  /v1/responses takes the same models, and /v1/embeddings one of its own:

curl ${origin}/v1/embeddings -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' \\
  -d '{"model":"openai/text-embedding-3-small","input":"hello"}'

  Cedar's keys reach OpenAI, Anthropic, Bedrock, Azure, Groq and CrofAI (their sandbox), in the same format:

curl -i ${origin}/v1/chat/completions \\
  -H 'Authorization: Bearer ${cedar}' -H 'Content-Type: application/json' -H 'x-byok-provider: anthropic' \\
  -d '{"model":"anthropic/claude-sonnet-4.6","messages":[{"role":"user","content":"Say hello"}]}'

  More keys, to save as Cedar's owner under Settings → Billing → Add a key. The call above reaches each by its name and model:

${keysToSave()}

  That form also shows keys that are revoked, out of credit or limited, of all 22 providers. OpenRouter's connects with one
  click besides: its sandbox asks you to approve.
  Inbox of the mails to owners and billing admins: ${system.mail.url}
  Take Acme off Enterprise, and watch its key be destroyed:   npm run demo:downgrade -- acme
  Sandboxes: Stripe ${system.stripe.url}, OpenRouter ${system.openrouter.origin}, all other providers ${system.providers.origin}. Ctrl-C stops everything.
`)
}

/** Empties the state folder. A database server that outlived a killed demo would hold it, so it is stopped first. */
async function startOver(state: LocalState): Promise<void> {
  if (state.has('postgres')) await (await startEmbeddedPostgres(state.postgresDir)).stop()
  forgetLocalState(state)
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { fresh: { type: 'boolean', default: false } } })
  const state = localState('demo')
  // Without its token a first start never came to its end: what it left is started over, like `--fresh`.
  if (values.fresh || !state.has('acme-token')) await startOver(state)
  ensureBuilt(() => say('Building the console …'))
  say('Starting database and sandboxes …')
  const life = lifecycle(say)
  const system = await startLocalSystem(localState('demo'), life)
  const tokens = await seedAndKeepTokens(state, system)
  const settings = { ...system.settings, KEYMARGIN_SANDBOX_KEYS: JSON.stringify(sampleKeys()) }
  for (const program of ['server.ts', 'workers/index.ts']) {
    const child = await startChild([program], settings)
    life.onStop(child.stop)
    child.process.once('exit', (code) => void life.stop(code ?? 1))
  }
  printWelcome(system, tokens)
}

main().catch((error: Error) => {
  console.error(error)
  process.exit(1)
})
