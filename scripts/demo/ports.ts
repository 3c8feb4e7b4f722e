import { createServer } from 'node:net'

/** The wished port where it is free, else any free one. */
export function usablePort(wished: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' && wished !== 0) usablePort(0).then(resolve, reject)
      else reject(error)
    })
    probe.listen(wished, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })
}
