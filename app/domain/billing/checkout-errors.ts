import { AppError } from '#app/platform/errors.ts'
import { displayCents } from '#app/platform/pico.ts'

export const alreadySubscribed = () =>
  new AppError(
    'conflict',
    'already_subscribed',
    'This workspace has a subscription. Change its plan under Manage payment instead of buying a second one.',
  )

export const planNotSold = () =>
  new AppError('conflict', 'plan_not_sold', 'This plan cannot be bought here at the moment. Ask us for it.', {
    field: 'planId',
    internal: 'the plan has no product of Stripe’s with exactly one active price in the workspace’s currency',
  })

export const amountNotPossible = (leastCents: number, mostCents: number) =>
  new AppError(
    'bad_request',
    'amount_not_possible',
    `Choose an amount between ${displayCents(BigInt(leastCents))} and ${displayCents(BigInt(mostCents))}, in whole cents.`,
    { field: 'amountUsd' },
  )

export const creditsNotInCurrency = (currency: string) =>
  new AppError(
    'conflict',
    'credits_not_in_currency',
    `Credits are sold in US dollars only; this workspace is billed in ${currency.toUpperCase()}.`,
  )

export const noCustomerYet = () =>
  new AppError('conflict', 'no_customer_yet', 'Nothing was paid here yet, so there is no payment to manage.')

export const workspaceSuspended = () =>
  new AppError('conflict', 'workspace_suspended', 'This workspace is suspended. Write to us to let it go on.', {
    internal: 'its Stripe customer was deleted',
  })

export const stripeUnavailable = (cause: Error) =>
  new AppError(
    'upstream',
    'stripe_unavailable',
    'Our payment provider does not answer at the moment. Nothing was changed; try again in a minute.',
    { cause, internal: cause.message },
  )
