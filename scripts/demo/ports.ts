import { freePort, isFree } from '../free-port.ts'

/** The wished port where it is free, else any free one. */
export const usablePort = async (wished: number): Promise<number> =>
  wished !== 0 && (await isFree(wished)) ? wished : freePort()
