import pino, { type Logger } from 'pino'
import { env } from './env.server.ts'
import { scrubSecrets } from './secret-patterns.ts'
import { singleton } from './singleton.server.ts'

/** Names that never carry a value into the log, wherever they stand. Bodies, headers and prompts are among them. */
const secretNames = [
  'authorization',
  'cookie',
  'apiKey',
  'key',
  'secret',
  'password',
  'token',
  'ciphertext',
  'body',
  'headers',
]
const redact = secretNames.flatMap((name) => [name, `*.${name}`])

const logger = (): Logger =>
  singleton('log', () =>
    pino(
      { level: env().logLevel, base: { process: env().processId }, redact: { paths: redact, censor: '[secret]' } },
      { write: (line: string) => process.stdout.write(scrubSecrets(line)) },
    ),
  )

type Write = (fields: Record<string, unknown>, message: string) => void

/** The process's one log: fields first, then the message. Every line passes the scrubber, whatever was put into it. */
export const log: Record<'debug' | 'info' | 'warn' | 'error', Write> = {
  debug: (fields, message) => logger().debug(fields, message),
  info: (fields, message) => logger().info(fields, message),
  warn: (fields, message) => logger().warn(fields, message),
  error: (fields, message) => logger().error(fields, message),
}
