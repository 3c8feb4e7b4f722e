import type { Dialect } from '../dialect.ts'
import { errorReply, wholeReply } from './reply.ts'
import { messagesRequest } from './request.ts'
import { MessageStream } from './stream.ts'

/** Anthropic's native Messages API, `POST /v1/messages` with the header `anthropic-version: 2023-06-01`. */
export const anthropicMessages: Dialect = {
  streamType: 'text/event-stream',
  toUpstream: messagesRequest,
  replies: (context) => {
    const stream = new MessageStream(context)
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
