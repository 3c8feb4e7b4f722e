import { startProvidersSandbox } from './server.ts'

/** `node test/sandbox/providers/main.ts [port]`: all providers on one port, and the settings that point a gateway at them. */
const sandbox = await startProvidersSandbox({ port: Number(process.argv[2] ?? 0) })
for (const [name, value] of Object.entries(sandbox.settings())) console.log(`${name}=${value}`)
process.once('SIGTERM', () => void sandbox.close())
