import type { Dialect } from '../dialect.ts'
import { errorReply, wholeReply } from './reply.ts'
import { responsesRequest } from './request.ts'
import { ResponseStream } from './stream.ts'

/** A chat request over OpenAI's Responses API, `POST /responses`, at OpenAI itself or at Azure. */
export const openaiResponses: Dialect = {
  streamType: 'text/event-stream',
  toUpstream: responsesRequest,
  replies: (context) => {
    const stream = new ResponseStream(context)
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
