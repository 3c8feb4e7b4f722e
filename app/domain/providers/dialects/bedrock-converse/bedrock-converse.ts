import type { Dialect } from '../dialect.ts'
import { errorReply, wholeReply } from './reply.ts'
import { converseRequest } from './request.ts'
import { ConverseStreamReader } from './stream.ts'

/** Amazon Bedrock: `POST /model/{id}/converse`, and `POST /model/{id}/converse-stream` for streams, which are binary. */
export const bedrockConverse: Dialect = {
  streamType: 'application/vnd.amazon.eventstream',
  toUpstream: converseRequest,
  replies: (context) => {
    const stream = new ConverseStreamReader(context)
    return {
      push: (piece) => stream.push(piece),
      get ended() {
        return stream.ended
      },
      whole: (body) => wholeReply(context, body),
      error: errorReply,
    }
  },
}
