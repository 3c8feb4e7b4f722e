import { Readable } from 'node:stream'
import { createReadableStreamFromReadable } from '@remix-run/node'
import { log } from '#app/platform/log.server.ts'
import { noStore } from './respond.server.ts'

/**
 * A CSV file that is sent while it is made. The first piece is awaited, so that a refusal is still an answer with a status;
 * what fails later cuts the download off instead of ending it as if it were whole.
 */
export const csvDownload = (pieces: AsyncGenerator<string>, fileName: string): Promise<Response> =>
  download(pieces, fileName, 'text/csv; charset=utf-8')

/** The same for any text. */
export async function download(
  pieces: AsyncGenerator<string>,
  fileName: string,
  contentType: string,
): Promise<Response> {
  const first = await pieces.next()
  async function* all() {
    if (!first.done) yield first.value
    try {
      yield* pieces
    } catch (error) {
      log.error({ reason: (error as Error).message }, 'export broke off')
      throw error
    }
  }
  return new Response(createReadableStreamFromReadable(Readable.from(all())), {
    headers: {
      ...noStore,
      'Content-Type': contentType,
      'Content-Disposition': `attachment; filename="${fileName.replaceAll(/[^\w.-]/g, '_')}"`,
    },
  })
}
