/**
 * `npm run stripe:customer -- --workspace SLUG --customer cus_… [--yes]`: links a workspace to another Stripe customer, after its own was
 * deleted or merged. Without `--yes` it says what that would do.
 */
import { parseArgs } from 'node:util'
import { type Relink, readRelink, relinkCustomer } from '#app/domain/billing/relink-customer.server.ts'
import { runCommand, UsageError } from './command.ts'
import { commandLineOperator } from './operator.ts'

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

function readArguments() {
  const { values } = parseArgs({
    options: { workspace: { type: 'string' }, customer: { type: 'string' }, yes: { type: 'boolean', default: false } },
  })
  const { workspace, customer, yes } = values
  if (!workspace || !customer) throw new UsageError()
  return { workspace, customerId: customer, yes }
}

const USAGE = 'Usage: npm run stripe:customer -- --workspace SLUG --customer cus_… [--yes]'

await runCommand(USAGE, readArguments, async ({ yes, ...input }) => {
  const ctx = commandLineOperator()
  const { customerId, workspace } = input
  if (!yes) {
    console.log(`${describe(customerId, await readRelink(ctx, input))}\nNothing was changed. Run it again with --yes.`)
    return
  }
  const { outcome, ...relink } = await relinkCustomer(ctx, input)
  console.log(`${describe(customerId, relink)}\n${workspace} is linked: ${outcome.replaceAll('_', ' ')}.`)
})
