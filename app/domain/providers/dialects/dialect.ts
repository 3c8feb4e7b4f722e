/**
 * The wire format of a provider that does not speak OpenAI's chat format itself. Requests come in as OpenAI's, replies go
 * out as OpenAI's; everything between (keys, egress, metering, relaying) is the same for all providers.
 */
export interface Dialect {
  /** Media type of the provider's streams. */
  streamType: string
  /**
   * Turns a chat request into the provider's own.
   * @throws DialectRefusal naming the parameter that the provider cannot express: never a silent drop
   */
  toUpstream: (request: ChatRequestInput) => Buffer
  /** Reads the replies to one request. */
  replies: (context: ReplyContext) => ReplyTranslator
}

export interface ChatRequestInput {
  /** The caller's JSON, already known to be an object with a valid `model` and `messages`. */
  body: Buffer
  /** The model's id at the provider. */
  model: string
  streamed: boolean
}

export interface ReplyContext {
  /** The model as the caller named it; the reply repeats the provider's own name where it gives one. */
  model: string
  /** The call's id: names the reply where the provider gives no id of its own. */
  callId: string
  /** Unix seconds. */
  created: number
}

/**
 * Turns one reply into OpenAI's format. Token counts become inclusive (`prompt_tokens` holds cache reads and writes,
 * `completion_tokens` holds reasoning); counts that are missing, negative or no whole numbers leave `usage` out altogether:
 * unknown is not zero.
 */
export interface ReplyTranslator {
  /**
   * The next bytes of a stream, as complete OpenAI events (`data: {…}\n\n`); empty while nothing is complete. A usage event
   * with empty `choices` and `data: [DONE]` follow the provider's own end, and only that. A provider's error inside the
   * stream becomes `data: {"error":{"message","type","code"}}`.
   * @throws TranslationError on bytes that are not the provider's format
   */
  push: (piece: Buffer) => Buffer
  /** Whether the provider's own end mark has passed. */
  readonly ended: boolean
  /** A plain reply as `chat.completion` JSON; null where it is no reply of this provider. */
  whole: (body: Buffer) => Buffer | null
  /** The text of an error reply as `{"error":{"message","type","code"}}`; null where it is no error of this provider. */
  error: (body: Buffer) => string | null
}

/** A parameter that cannot be expressed in the provider's format. Becomes a 400 that names it. */
export class DialectRefusal extends Error {
  readonly param: string

  constructor(param: string, message: string) {
    super(message)
    this.param = param
  }
}

/** The provider sent something that is not its own format. Becomes a 502; the message never quotes what was sent. */
export class TranslationError extends Error {}
