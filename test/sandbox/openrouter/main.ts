import { startOpenRouterSandbox } from './server.ts'

/**
 * The sandbox as a process of its own: `node test/sandbox/openrouter/main.ts [--port N] [--journal FILE] [--state FILE]`.
 * Prints one JSON line with its base URL when it listens.
 */
const argument = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? undefined : process.argv[at + 1]
}

const sandbox = await startOpenRouterSandbox({
  port: Number(argument('port') ?? 0),
  journalFile: argument('journal'),
  stateFile: argument('state'),
})
process.stdout.write(`${JSON.stringify({ baseUrl: sandbox.baseUrl, origin: sandbox.origin })}\n`)
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => void sandbox.close().then(() => process.exit(0)))
}
