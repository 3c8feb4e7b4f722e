import { expect, test } from './setup/fixtures.ts'

/** Plan and payment in a real browser: the portal, Checkout with a declined and a good card, and what the page says of each. */
const billing = '/w/birch/settings/billing'

test('a downgrade is scheduled in the portal and taken back; the page says what is planned', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  await signInAs('birch', 'billing_admin')
  await page.goto(system.origin + billing)
  await expect(page.getByRole('heading', { name: 'Plan and payment' })).toBeVisible()
  await page.getByRole('button', { name: 'Change plan or payment' }).click()
  await expect(page.getByRole('heading', { name: 'Billing portal' })).toBeVisible()
  await picture('payment-portal', 'screen')
  await page.getByLabel('Change to').selectOption({ label: 'Plus, 20.00 USD' })
  await page.getByRole('button', { name: 'Change at the end of the period' }).click()
  await page.getByRole('link', { name: 'Return' }).click()
  await expect(page.getByText(/^The plan changes to Plus at /)).toBeVisible()
  await expect(page.getByTestId('payment-method')).toHaveText('Visa ending in 4242, valid until 12/2034')
  await picture('payment-scheduled')
  await page.getByRole('button', { name: 'Change plan or payment' }).click()
  await page.getByRole('button', { name: 'Keep the plan' }).click()
  await page.getByRole('link', { name: 'Return' }).click()
  await expect(page.getByRole('heading', { name: 'Plan and payment' })).toBeVisible()
  await expect(page.getByText(/^The plan changes to/)).toHaveCount(0)
})

test('a workspace without a subscription buys a plan: refused, left, then paid; a member sees none of it', async ({
  page,
  system,
  stripe,
  signInAs,
  picture,
  allowConsole,
}) => {
  const { data } = await stripe.subscriptions.list({ status: 'active', limit: 100, expand: ['data.customer'] })
  const birch = data.find(
    (one) => typeof one.customer !== 'string' && !one.customer.deleted && one.customer.name === 'Birch',
  )
  await stripe.subscriptions.cancel(birch?.id ?? '')
  await signInAs('birch', 'owner')
  await page.goto(`${system.origin}${billing}?back=portal`)
  await expect(page.getByLabel('Subscribe to a plan')).toBeVisible()
  await page.setViewportSize({ width: 390, height: 844 })
  await picture('payment-narrow')
  await page.getByLabel('Subscribe to a plan').selectOption('Pro')
  await page.getByRole('button', { name: 'Go to Checkout' }).click()
  await expect(page.getByRole('heading', { name: 'Subscribe' })).toBeVisible()
  allowConsole(/402 \(Payment Required\)/)
  await page.getByRole('button', { name: 'Pay with a card that is declined' }).click()
  await expect(page.getByRole('alert')).toHaveText('Your card was declined.')
  await page.getByRole('button', { name: 'Leave without paying' }).click()
  await expect(page.getByText('Checkout was left before anything was paid.')).toBeVisible()
  await page.getByLabel('Subscribe to a plan').selectOption('Pro')
  await page.getByRole('button', { name: 'Go to Checkout' }).click()
  await page.getByRole('button', { name: 'Pay with a card that works' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'Paid: the plan Pro is yours.' })).toBeVisible()
  await expect(page.getByText('Plan: Pro.')).toBeVisible()
  await page.setViewportSize({ width: 1280, height: 860 })
  await picture('payment-paid')
  await signInAs('birch', 'member')
  await page.goto(system.origin + billing)
  await expect(page.getByRole('heading', { name: 'Billing', level: 1 })).toBeVisible()
  await expect(page.getByRole('heading', { name: 'Plan and payment' })).toHaveCount(0)
})
