import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'

/** The gateway with a CPU profile that begins at SIGUSR2 and is written at the next one, to the file named by the first argument. */
const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.setSamplingInterval', { interval: 200 })
let running = false

process.on('SIGUSR2', async () => {
  running = !running
  if (running) return void (await session.post('Profiler.start'))
  const { profile } = await session.post('Profiler.stop')
  writeFileSync(process.argv[2] as string, JSON.stringify(profile))
})
await import('#test/gateway-process.ts')
