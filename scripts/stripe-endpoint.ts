/**
 * `npm run stripe:endpoint -- create | rotate | rotate --finish | check`: the webhook endpoint at Stripe, with the events and
 * the API version that this code reads. Runs with the settings of the installation; a secret is printed once, or written to
 * the file that `--secret-file` names.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import {
  beginRotation,
  checkWebhookEndpoints,
  createWebhookEndpoint,
  finishRotation,
  type MadeEndpoint,
  webhookUrl,
} from '#app/domain/billing/manage-webhook-endpoint.server.ts'
import { runCommand, UsageError } from './command.ts'

// There is none before the first endpoint was made; nothing here verifies a signature.
process.env.STRIPE_WEBHOOK_SECRET ??= 'whsec_none_yet'

const USAGE = 'Usage: npm run stripe:endpoint -- create | rotate [--finish] | check  [--secret-file FILE]'
interface Given {
  finish: boolean
  /** Where the secret goes; absent: it is printed. */
  file: string | undefined
}

/** The file comes first: Stripe tells the secret once, so one that could not be written would be lost, and its endpoint be there. */
async function handOver(make: () => Promise<MadeEndpoint>, { file }: Given): Promise<void> {
  if (file) writeFileSync(file, '', { mode: 0o600, flag: 'wx' })
  const { id, secret } = await make().catch((error: unknown) => {
    if (file) rmSync(file)
    throw error
  })
  if (file) writeFileSync(file, secret)
  console.log(`Endpoint ${id} at ${webhookUrl()}`)
  console.log(file ? `Its secret is in ${file}.` : `Its secret, shown this once: ${secret}`)
}

async function check(): Promise<void> {
  const found = await checkWebhookEndpoints()
  if (found.length === 0) {
    console.log(`No endpoint of the account sends to ${webhookUrl()}. Make one with create.`)
    process.exitCode = 1
  }
  for (const { id, createdAt, problems } of found) {
    console.log(`${id}, made ${createdAt}: ${problems.length ? problems.join('; ') : 'good'}`)
    if (problems.length) process.exitCode = 1
  }
  if (found.length > 1) console.log('Several endpoints: a rotation is under way. End it with rotate --finish.')
}

async function rotate(given: Given): Promise<void> {
  if (given.finish) {
    const deleted = await finishRotation()
    console.log(
      deleted.length
        ? `Deleted ${deleted.join(', ')}. Leave the old secret out of STRIPE_WEBHOOK_SECRET now.`
        : 'There was no older endpoint.',
    )
    return
  }
  await handOver(beginRotation, given)
  console.log(
    'Set STRIPE_WEBHOOK_SECRET to both secrets, new and old with a comma, restart every process, then: rotate --finish',
  )
}

const commands: Record<string, (given: Given) => Promise<void>> = {
  create: (given) => handOver(createWebhookEndpoint, given),
  rotate,
  check,
}

function readArguments() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { finish: { type: 'boolean', default: false }, 'secret-file': { type: 'string' } },
  })
  const [name = '', ...more] = positionals
  const command = Object.hasOwn(commands, name) && more.length === 0 ? commands[name] : undefined
  if (!command) throw new UsageError()
  return { command, finish: values.finish, file: values['secret-file'] }
}

await runCommand(USAGE, readArguments, ({ command, ...given }) => command(given))
