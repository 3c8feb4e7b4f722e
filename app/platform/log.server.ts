import pino, { type Logger } from 'pino'
import { env } from './env.server.ts'
import { scrubSecrets } from './secret-patterns.ts'
import { singleton } from './singleton.server.ts'

/** Fields a log line may carry; bodies, headers and prompts are never among them. */
const redact = [
  '*.authorization',
  '*.cookie',
  '*.apiKey',
  '*.key',
  '*.secret',
  '*.password',
  '*.token',
  '*.ciphertext',
  '*.body',
  '*.headers',
]

/** The process's one log. Every line passes the scrubber on its way out, whatever was put into it. */
export const log: Logger = singleton('log', () =>
  pino(
    { level: env().logLevel, base: { process: env().processId }, redact: { paths: redact, censor: '[secret]' } },
    { write: (line: string) => process.stdout.write(scrubSecrets(line)) },
  ),
)
