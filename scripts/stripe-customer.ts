/**
 * `npm run stripe:customer -- --workspace SLUG --customer cus_… [--yes]`: links a workspace to another Stripe customer, after its own was
 * deleted or merged. Without `--yes` it says what that would do.
 */
import { parseArgs } from 'node:util'
import { type Relink, readRelink, relinkCustomer } from '#app/domain/billing/relink-customer.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { commandLineOperator } from './operator.ts'
import { openSettings } from './settings.ts'

const { values } = parseArgs({
  options: { workspace: { type: 'string' }, customer: { type: 'string' }, yes: { type: 'boolean' } },
})

const states = { there: 'still there', deleted: 'deleted in Stripe', unknown: 'unknown to this Stripe key' }

const listed = (subscriptions: Relink['subscriptions']) =>
  subscriptions.map(({ id, status }) => `${id} (${status})`).join(', ')

function describe(customerId: string, { from, subscriptions, takenFrom }: Relink): string {
  const paid = listed(subscriptions)
  return [
    `Until now: ${from ? `${from.id}, ${states[from.state]}` : 'no customer'}. From now on: ${customerId}.`,
    ...(takenFrom
      ? [
          `It was linked to ${takenFrom.slug} before, which was billed nothing there: it is taken over, and ${takenFrom.slug} can have it back only the same way.`,
        ]
      : []),
    paid
      ? `It subscribes to ${paid}; plan and keys follow that.`
      : 'It subscribes to nothing: a workspace that had a subscription falls to the lowest plan of its product, and keys that this plan does not hold are destroyed.',
    ...(from?.subscriptions.length
      ? [
          `${from.id} goes on paying for ${listed(from.subscriptions)}, which entitle to nothing then: cancel them in Stripe.`,
        ]
      : []),
    'Runs that were billed stay with the customer they were billed to.',
  ].join('\n')
}

async function main(workspace: string, customerId: string): Promise<void> {
  const [ctx, input] = [commandLineOperator(), { workspace, customerId }]
  if (!values.yes) {
    console.log(`${describe(customerId, await readRelink(ctx, input))}\nNothing was changed. Run it again with --yes.`)
    return
  }
  const { outcome, ...relink } = await relinkCustomer(ctx, input)
  console.log(`${describe(customerId, relink)}\n${workspace} is linked: ${outcome.replaceAll('_', ' ')}.`)
}

if (!values.workspace || !values.customer) {
  console.error('Usage: npm run stripe:customer -- --workspace SLUG --customer cus_… [--yes]')
  process.exit(2)
}
const close = await openSettings()
try {
  await openVault()
  await main(values.workspace, values.customer)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await closeDatabase()
  await close()
}
