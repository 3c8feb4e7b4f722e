import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type MailSandbox, startMailSandbox } from '#test/sandbox/mail/server.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import { type ProvidersSandbox, startProvidersSandbox } from '#test/sandbox/providers/server.ts'
import { type StripeSandbox, startStripeSandbox } from '#test/sandbox/stripe/stripe-sandbox.ts'
import { ensureLogin, migrateDatabase } from '../migrations.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../postgres/embedded.ts'
import type { Lifecycle } from './lifecycle.ts'
import { usablePort } from './ports.ts'
import type { LocalState } from './state.ts'

/** A local system without its web and worker: database, and the sandboxes that stand for everybody else. */
export interface LocalSystem {
  postgres: EmbeddedPostgres
  stripe: StripeSandbox
  openrouter: OpenRouterSandbox
  /** Stands for all other providers. */
  providers: ProvidersSandbox
  /** Takes the mails, and shows them. */
  mail: MailSandbox
  /** What web, worker and the command-line tools run with. */
  settings: Record<string, string>
}

const hex = (make: string) =>
  make
    .replace(/[^0-9a-f]/g, '')
    .padEnd(64, '0')
    .slice(0, 64)

/** Brings the local system up on its kept data; `life` takes it down again. */
export async function startLocalSystem(
  state: LocalState,
  life: Pick<Lifecycle, 'onStop'>,
  wished = {
    web: Number(process.env.PORT ?? 3000),
    stripe: 3101,
    openrouter: 3102,
    providers: 3103,
    smtp: 3104,
    inbox: 3105,
  },
): Promise<LocalSystem> {
  const postgres = await startEmbeddedPostgres(state.postgresDir)
  life.onStop(() => postgres.stop())
  await migrateDatabase(postgres.url)
  const databaseUrl = await ensureLogin(postgres.url, 'keymargin_login', state.secret('database-password'))
  const port = await usablePort(wished.web)
  const webhookSecret = `whsec_${state
    .secret('webhook-secret')
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 32)}`
  const webhook = { url: `http://127.0.0.1:${port}/webhooks/stripe`, secret: webhookSecret }
  const stripe = await startStripeSandbox({
    port: await usablePort(wished.stripe),
    stateFile: state.stripeStateFile,
    webhook,
  })
  life.onStop(() => stripe.close())
  const openrouter = await startOpenRouterSandbox({
    pace: { firstMs: 180, gapMs: 18 },
    port: await usablePort(wished.openrouter),
    stateFile: state.openrouterStateFile,
    journalFile: state.openrouterJournalFile,
  })
  life.onStop(() => openrouter.close())
  const providers = await startProvidersSandbox({ port: await usablePort(wished.providers) })
  providers.pace(180, 18)
  life.onStop(() => providers.close())
  const mail = await startMailSandbox({ smtp: await usablePort(wished.smtp), page: await usablePort(wished.inbox) })
  life.onStop(() => mail.close())
  const settings = {
    PORT: String(port),
    HOST: '127.0.0.1',
    APP_ORIGIN: `http://127.0.0.1:${port}`,
    DATABASE_URL: databaseUrl,
    SECRETS_PHRASE: state.secret('phrase'),
    STRIPE_SECRET_KEY: stripe.apiKey,
    STRIPE_WEBHOOK_SECRET: webhookSecret,
    STRIPE_API_BASE: stripe.url,
    OPENROUTER_PLATFORM_KEY: `sk-or-v1-${hex(state.secret('platform-key', () => 'a1b2c3d4'.repeat(8)))}`,
    PROVIDER_BASE_URL_OPENROUTER: openrouter.baseUrl,
    ...providers.settings(),
    SMTP_URL: mail.smtpUrl,
    MAIL_FROM: 'Keymargin <keymargin@demo.example>',
    KEYMARGIN_SANDBOX: '1',
    LOG_LEVEL: process.env.LOG_LEVEL ?? 'warn',
  }
  mkdirSync(state.dir, { recursive: true })
  writeFileSync(path.join(state.dir, 'settings.json'), JSON.stringify(settings, null, 2), { mode: 0o600 })
  return { postgres, stripe, openrouter, providers, mail, settings }
}
