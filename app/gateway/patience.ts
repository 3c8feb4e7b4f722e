import type { Patience } from '#app/domain/providers/dispatch-call.server.ts'

/**
 * How long a provider may be silent, in ms. Reasoning models think for minutes before a plain answer; a stream says
 * something, if only a comment, all the time. Held in an object so that a test can shorten it.
 */
export const patience: Patience = { headersMs: 600_000, idleMs: 180_000 }
