/** Checkout and portal as pages that a browser, or a test, fills in. Forms without JavaScript, answered by redirects. */
import { z } from 'zod'
import { subtotalOfSession, taxOfSession } from './checkout-object.ts'
import { payCheckout } from './checkout-payment.ts'
import { checkoutNamed } from './checkout-sessions.ts'
import { StripeApiError } from './errors.ts'
import { parseForm } from './form.ts'
import { escapeHtml, hostedPage, money } from './page-frame.ts'
import { actAtPortal, type PortalAct, portalNamed, subscriptionAtPortal } from './portal-sessions.ts'
import type { World } from './world.ts'

/** A page, or where the browser is sent. */
export type PageAnswer = { html: string; status: number } | { location: string }

const payment = z.strictObject({
  pay: z.enum(['card', 'declined', 'debit', 'leave']),
  country: z.string().optional(),
  postal_code: z.string().optional(),
})

function checkoutPage(world: World, id: string, problem = ''): string {
  const session = checkoutNamed(world, id)
  const rows = session.lineItems.map(
    (item) =>
      `<tr><td>${escapeHtml(item.name)}</td><td class="n">${money(item.amount * item.quantity, session.currency)}</td></tr>`,
  )
  const total = subtotalOfSession(session) + taxOfSession(world, session)
  const address = session.automaticTax
    ? '<p><label>Country <input name="country" value="DE" maxlength="2" required></label> <label>Postal code <input name="postal_code"></label></p>'
    : ''
  const choices = [
    ['card', 'Pay with a card that works'],
    ['declined', 'Pay with a card that is declined'],
    ['debit', 'Pay by bank debit, settled in three days'],
    ['leave', 'Leave without paying'],
  ].map(([value, label]) => `<button name="pay" value="${value}">${label}</button>`)
  const body =
    session.status === 'open'
      ? `<form method="post">${address}${choices.join('\n')}</form>`
      : `<p>This Checkout session is ${session.status}.</p>`
  return hostedPage(
    session.mode === 'subscription' ? 'Subscribe' : 'Pay',
    `${problem && `<p role="alert" class="bad">${escapeHtml(problem)}</p>`}
<table><tbody>${rows.join('')}</tbody><tfoot><tr><th>Total</th><th class="n">${money(total, session.currency)}</th></tr></tfoot></table>${body}`,
  )
}

function submitCheckout(world: World, id: string, form: string): PageAnswer {
  const session = checkoutNamed(world, id)
  const { pay, country, postal_code } = payment.parse(parseForm(form))
  if (pay === 'leave') return { location: session.cancelUrl ?? session.successUrl }
  const address = country ? { country, postal_code: postal_code ?? null } : undefined
  try {
    payCheckout(world, session, pay, address)
  } catch (error) {
    if (!(error instanceof StripeApiError)) throw error
    return { html: checkoutPage(world, id, error.message), status: error.status }
  }
  return { location: session.successUrl.replaceAll('{CHECKOUT_SESSION_ID}', session.id) }
}

function portalPage(world: World, id: string, problem = ''): string {
  const session = portalNamed(world, id)
  const subscription = subscriptionAtPortal(world, session)
  const [item] = subscription?.items ?? []
  const { prices, products } = world.state
  const nameOf = (price: string) => products[prices[price]?.product ?? '']?.name ?? price
  const others = Object.values(prices).filter((price) => price.active && price.recurring && price.id !== item?.price)
  const options = others.map(
    (price) =>
      `<option value="${price.id}">${escapeHtml(nameOf(price.id))}, ${money(price.unitAmount, price.currency)}</option>`,
  )
  const ends = subscription?.cancelAt ? ` It ends ${new Date(subscription.cancelAt * 1000).toISOString()}.` : ''
  const plan = subscription
    ? `<p>Your plan: <strong>${escapeHtml(nameOf(item?.price ?? ''))}</strong>, ${subscription.status}.${ends}</p>
<form method="post"><input type="hidden" name="act" value="change"><label>Change to <select name="price">${options.join('')}</select></label>
<button name="when" value="now">Change now</button><button name="when" value="period_end">Change at the end of the period</button></form>
<form method="post"><button name="act" value="cancel">Cancel at the end of the period</button><button name="act" value="keep">Keep the plan</button></form>`
    : '<p>There is no subscription.</p>'
  const back = session.returnUrl ? `<p><a href="${escapeHtml(session.returnUrl)}">Return</a></p>` : ''
  return hostedPage(
    'Billing portal',
    `${problem && `<p role="alert" class="bad">${escapeHtml(problem)}</p>`}${plan}
<form method="post"><input type="hidden" name="act" value="card"><button name="card" value="works">Use a new card that works</button>
<button name="card" value="declines">Use a new card that is declined later</button></form>${back}`,
  )
}

const portalForm = z.union([
  z.strictObject({ act: z.literal('change'), price: z.string(), when: z.enum(['now', 'period_end']) }),
  z.strictObject({ act: z.enum(['cancel', 'keep']) }),
  z.strictObject({ act: z.literal('card'), card: z.enum(['works', 'declines']) }),
])

function submitPortal(world: World, id: string, form: string): PageAnswer {
  try {
    actAtPortal(world, portalNamed(world, id), portalForm.parse(parseForm(form)) as PortalAct)
    return { location: `${world.baseUrl}/_sandbox/portal/${id}` }
  } catch (error) {
    if (!(error instanceof StripeApiError)) throw error
    return { html: portalPage(world, id, error.message), status: error.status }
  }
}

/** @returns undefined where the path is none of these pages. @throws StripeApiError 404 */
export function answerHostedPage(world: World, method: string, pathname: string, body: string): PageAnswer | undefined {
  const [, page, id] = /^\/_sandbox\/(checkout|portal)\/([^/]+)$/.exec(pathname) ?? []
  if (!page || !id) return undefined
  if (method === 'POST') return page === 'checkout' ? submitCheckout(world, id, body) : submitPortal(world, id, body)
  return { html: page === 'checkout' ? checkoutPage(world, id) : portalPage(world, id), status: 200 }
}
