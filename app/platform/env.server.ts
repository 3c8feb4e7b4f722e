import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { singleton } from './singleton.server.ts'

/** The only reader of process.env. Settings are documented in docs/operations.md; names there and here agree (tested). */
const text = z.string().trim().min(1)
const flag = z.enum(['0', '1', 'true', 'false']).transform((value) => value === '1' || value === 'true')

/** A credential that the sandbox takes, and how it stands there. */
export interface SandboxKey {
  text: string
  means: string
}

const fromJson = text.transform((value, ctx): unknown => {
  try {
    return JSON.parse(value)
  } catch {
    ctx.addIssue('must be JSON')
    return z.NEVER
  }
})
const sandboxKeys = z.record(z.string(), z.array(z.strictObject({ text: z.string(), means: z.string() })))

const settings = z.object({
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  PORT: z.coerce.number().int().min(0).max(65535).default(3000),
  HOST: text.default('127.0.0.1'),
  APP_ORIGIN: z.url({ protocol: /^https?$/ }).optional(),
  TRUST_PROXY: flag.default(false),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  DATABASE_POOL_MAX: z.coerce.number().int().min(2).max(200).default(10),
  SECRETS_PHRASE: text.optional(),
  SECRETS_PHRASE_PREVIOUS: text.optional(),
  STRIPE_SECRET_KEY: text,
  STRIPE_WEBHOOK_SECRET: text,
  STRIPE_API_BASE: z.url({ protocol: /^https?$/ }).optional(),
  STRIPE_TAX: z.enum(['off', 'automatic']).default('off'),
  STRIPE_TAX_CODE: text.regex(/^txcd_\d{8}$/, 'must be a tax code of Stripe').optional(),
  STRIPE_REQUESTS_PER_SECOND: z.coerce.number().min(0.5).max(1000).default(10),
  OPENROUTER_PLATFORM_KEY: text,
  SMTP_URL: z.url({ protocol: /^smtps?$/ }).optional(),
  MAIL_FROM: text.regex(/^[^\p{Cc}]*@[^\p{Cc}]*$/u, 'must be an address').optional(),
  KEYMARGIN_SANDBOX: flag.default(false),
  KEYMARGIN_SANDBOX_KEYS: fromJson.pipe(sandboxKeys).default({}),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']).default('info'),
})

/** Settings that may come from a file instead (`NAME_FILE`): secrets stay out of the environment that way. */
const fileSettings = [
  'SECRETS_PHRASE',
  'SECRETS_PHRASE_PREVIOUS',
  'STRIPE_SECRET_KEY',
  'STRIPE_WEBHOOK_SECRET',
  'OPENROUTER_PLATFORM_KEY',
  'SMTP_URL',
  'DATABASE_URL',
] as const

export const settingNames: string[] = [...Object.keys(settings.shape), ...fileSettings.map((name) => `${name}_FILE`)]

/** `PROVIDER_BASE_URL_<ID>`, a provider's id in capitals with `_` for `-`: one setting for each of them. */
const baseUrlSetting = /^PROVIDER_BASE_URL_([A-Z0-9]+(?:_[A-Z0-9]+)*)$/
const baseUrl = z.url({ protocol: /^https?$/ })

/** Settings by name, as a process has them in its environment. */
export type Environment = Record<string, string | undefined>

export interface Env {
  production: boolean
  nodeEnv: 'development' | 'test' | 'production'
  /** Names this process in heartbeats, attempts and log lines. */
  processId: string
  port: number
  host: string
  /** Public origin of the console and the gateway, no trailing slash. */
  appOrigin: string
  trustProxy: boolean
  databaseUrl: string
  databasePoolMax: number
  secretsPhrase: string
  secretsPhrasePrevious: string | undefined
  stripeSecretKey: string
  stripeWebhookSecrets: string[]
  stripeApiBase: string | undefined
  /** Whether Stripe computes tax on invoices and at Checkout, and as what it taxes AI usage. */
  stripeTax: 'off' | 'automatic'
  stripeTaxCode: string | undefined
  /** Per Stripe operation, all processes together. */
  stripeRequestsPerSecond: number
  openrouterPlatformKey: string
  /** The mail server that notices go out by, and who they are from. Both or none. */
  smtpUrl: string | undefined
  mailFrom: string | undefined
  /** Operator overrides of provider base URLs, by provider id; users can never set them. */
  providerBaseUrls: Partial<Record<string, string>>
  sandbox: boolean
  /** For the demo's pages: what may be pasted as a key, by provider. Nothing without the sandbox. */
  sandboxKeys: Partial<Record<string, SandboxKey[]>>
  logLevel: string
}

/** Phrases that stand in documentation or demos: anybody can guess them. */
const samplePhrases = [
  /^(changeme|change-me|secret|password|test|demo|sample|example)/i,
  /correct horse battery staple/i,
  /keymargin-(demo|sample)/i,
]

/** Rough strength in bits: length × log2 of the alphabet in use, by distinct characters. Enough to refuse a toy. */
function strengthBits(phrase: string): number {
  return phrase.length * Math.log2(Math.max(2, new Set(phrase).size))
}

function readFiles(source: Environment, problems: string[]): Record<string, string | undefined> {
  const merged: Record<string, string | undefined> = { ...source }
  for (const name of fileSettings) {
    const file = source[`${name}_FILE`]
    if (!file) continue
    try {
      merged[name] = readFileSync(file, 'utf8').trim()
    } catch (error) {
      problems.push(`${name}_FILE: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`)
    }
  }
  for (const name of Object.keys(merged)) if (merged[name] === '') delete merged[name]
  return merged
}

type Settings = z.infer<typeof settings>

/** Setting by setting, so that one that is missing does not hide what is wrong with the others. */
function readSettings(given: Environment, problems: string[]): Partial<Settings> {
  const values: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(settings.shape)) {
    const read = field.safeParse(given[name])
    if (read.success) values[name] = read.data
    else problems.push(`${name}: ${given[name] === undefined ? 'missing' : read.error.issues[0]?.message}`)
  }
  return values
}

/** Replacements of providers' base URLs, by provider id. */
function readBaseUrls(given: Environment, problems: string[]): Partial<Record<string, string>> {
  const urls: Partial<Record<string, string>> = {}
  for (const [name, value] of Object.entries(given)) {
    const id = baseUrlSetting.exec(name)?.[1]?.toLowerCase().replaceAll('_', '-')
    if (id === undefined || value === undefined) continue
    const read = baseUrl.safeParse(value)
    if (read.success) urls[id] = read.data
    else problems.push(`${name}: ${read.error.issues[0]?.message}`)
  }
  return urls
}

const baseUrlSettings = (given: Environment): [string, string | undefined][] =>
  Object.entries(given).filter(([name]) => baseUrlSetting.test(name))

/** What only a real installation must fulfil. Settings that could not be read are reported elsewhere. */
function productionProblems(values: Partial<Settings>, given: Environment): string[] {
  const problems: string[] = []
  const phrase = values.SECRETS_PHRASE ?? ''
  if (values.KEYMARGIN_SANDBOX) problems.push('KEYMARGIN_SANDBOX: the sandbox does not run in production; unset it')
  if (given.KEYMARGIN_SANDBOX_KEYS !== undefined)
    problems.push('KEYMARGIN_SANDBOX_KEYS: belongs to the sandbox, which does not run in production; unset it')
  if (!given.APP_ORIGIN)
    problems.push('APP_ORIGIN: missing; set the public https origin, such as https://ai.example.com')
  else if (values.APP_ORIGIN && !values.APP_ORIGIN.startsWith('https://'))
    problems.push('APP_ORIGIN: must be https, or session cookies would travel unprotected')
  if (samplePhrases.some((sample) => sample.test(phrase)))
    problems.push('SECRETS_PHRASE_FILE: holds a sample phrase; make one with `openssl rand -base64 48`')
  else if (phrase && strengthBits(phrase) < 128)
    problems.push('SECRETS_PHRASE_FILE: too weak (under 128 bits); make one with `openssl rand -base64 48`')
  if (/_sbx|sandbox/i.test(values.STRIPE_SECRET_KEY ?? '')) problems.push('STRIPE_SECRET_KEY: is a sandbox key')
  if (/sandbox/i.test(values.OPENROUTER_PLATFORM_KEY ?? '')) problems.push('OPENROUTER_PLATFORM_KEY: is a sandbox key')
  for (const [name, url] of [['STRIPE_API_BASE', values.STRIPE_API_BASE] as const, ...baseUrlSettings(given)]) {
    const host = url && URL.parse(url)?.hostname
    if (host && /^(localhost|127\.|\[::1\])/.test(host))
      problems.push(`${name}: points at this machine, where only a sandbox would answer`)
  }
  return problems
}

/**
 * Reads and checks all settings.
 * @throws Error with one message that names everything missing or wrong, and never a value
 */
export function parseEnv(source: Environment): Env {
  const problems: string[] = []
  const given = readFiles(source, problems)
  const read = readSettings(given, problems)
  const providerBaseUrls = readBaseUrls(given, problems)
  if (!read.SECRETS_PHRASE && !problems.some((problem) => problem.startsWith('SECRETS_PHRASE_FILE:')))
    problems.push('SECRETS_PHRASE_FILE: missing; a file with at least 32 random characters')
  if ((given.SMTP_URL === undefined) !== (given.MAIL_FROM === undefined))
    problems.push(`${given.SMTP_URL ? 'MAIL_FROM' : 'SMTP_URL'}: missing; SMTP_URL and MAIL_FROM go together`)
  if (read.NODE_ENV === 'production') problems.push(...productionProblems(read, given))
  if (problems.length) {
    throw new Error(
      `Keymargin cannot start. Settings to fix (docs/operations.md explains each):\n  - ${problems.join('\n  - ')}`,
    )
  }
  const values = read as Settings
  return {
    production: values.NODE_ENV === 'production',
    nodeEnv: values.NODE_ENV,
    processId: randomUUID(),
    port: values.PORT,
    host: values.HOST,
    appOrigin: (values.APP_ORIGIN ?? `http://127.0.0.1:${values.PORT}`).replace(/\/$/, ''),
    trustProxy: values.TRUST_PROXY,
    databaseUrl: values.DATABASE_URL,
    databasePoolMax: values.DATABASE_POOL_MAX,
    secretsPhrase: values.SECRETS_PHRASE as string,
    secretsPhrasePrevious: values.SECRETS_PHRASE_PREVIOUS,
    stripeSecretKey: values.STRIPE_SECRET_KEY,
    stripeWebhookSecrets: values.STRIPE_WEBHOOK_SECRET.split(',').map((secret) => secret.trim()),
    stripeApiBase: values.STRIPE_API_BASE,
    stripeTax: values.STRIPE_TAX,
    stripeTaxCode: values.STRIPE_TAX_CODE,
    stripeRequestsPerSecond: values.STRIPE_REQUESTS_PER_SECOND,
    openrouterPlatformKey: values.OPENROUTER_PLATFORM_KEY,
    smtpUrl: values.SMTP_URL,
    mailFrom: values.MAIL_FROM,
    providerBaseUrls,
    sandbox: values.KEYMARGIN_SANDBOX,
    sandboxKeys: values.KEYMARGIN_SANDBOX ? values.KEYMARGIN_SANDBOX_KEYS : {},
    logLevel: values.LOG_LEVEL,
  }
}

/** The process's settings, read once. */
export const env = (): Env => singleton('env', () => parseEnv(process.env))
