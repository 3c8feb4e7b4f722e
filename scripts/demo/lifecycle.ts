/** What a local system does at its end, whenever that comes: also when Ctrl-C arrives while it is still starting. */
export interface Lifecycle {
  /** To be undone at the end, last things first. */
  onStop(undo: () => Promise<void>): void
  stop(code: number): Promise<void>
  stopping(): boolean
}

export function lifecycle(say: (line: string) => void): Lifecycle {
  const undos: (() => Promise<void>)[] = []
  let ending: Promise<void> | undefined
  const undoAll = async (code: number) => {
    say('\nStopping …')
    while (undos.length) await undos.pop()?.()
    process.exit(code)
  }
  const stop = (code: number) => (ending ??= undoAll(code))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0))
  return { onStop: (undo) => void undos.push(undo), stop, stopping: () => ending !== undefined }
}
