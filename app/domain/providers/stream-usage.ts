import { factsOf, isObject, noFacts, parseLossless, type ReplyFacts, replyIn, textAt } from './usage.ts'

/** The data of one event: its `data:` lines joined. */
export function eventData(event: string): string {
  if (event.startsWith('data: ') && !event.includes('\n')) return event.slice(6)
  const lines = event.split('\n').filter((line) => line.startsWith('data:'))
  return lines.map((line) => line.slice(line[5] === ' ' ? 6 : 5)).join('\n')
}

const mayMatter = /"(?:usage|error)"/g

/** The events of a stream's end that may say something: those with usage or an error, else the last ones. */
function eventsThatMatter(text: string): string[] {
  const events: string[] = []
  let from = 0
  mayMatter.lastIndex = 0
  for (let found = mayMatter.exec(text); found; found = mayMatter.exec(text)) {
    const start = text.lastIndexOf('\n\n', found.index)
    const end = text.indexOf('\n\n', found.index)
    from = end < 0 ? text.length : end
    events.push(text.slice(start < 0 ? 0 : start + 2, from))
    mayMatter.lastIndex = from
  }
  return events.length > 0 ? events : text.split('\n\n').slice(-4)
}

/**
 * Reads the end of an event stream. Lines may end in LF, CR LF or CR, and data may span lines. The last usage block counts,
 * never a sum: some providers repeat a growing one. The words "usage" and "error" inside a model's own text are not at the
 * top level of an event and so never count.
 */
export function readStreamTail(text: string): ReplyFacts {
  const facts: ReplyFacts = { ...noFacts }
  const plain = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
  for (const data of eventsThatMatter(plain)) {
    const event = parseLossless(eventData(data))
    if (!isObject(event)) continue
    const said = factsOf(event, 'text')
    if (isObject(replyIn(event).usage)) {
      const { tokens, costPico, usageRefused } = said
      Object.assign(facts, { tokens, costPico, usageRefused })
    }
    if (said.failed) Object.assign(facts, { failed: true, errorCode: said.errorCode })
    facts.model = said.model ?? facts.model
    facts.generationId = said.generationId ?? facts.generationId
  }
  return facts.model === null || facts.generationId === null ? withNames(facts, plain) : facts
}

/** Fills in the model and the generation from any event that names them: not every provider repeats them with the usage. */
function withNames(facts: ReplyFacts, plain: string): ReplyFacts {
  const named = plain.lastIndexOf('"model"')
  if (named < 0) return facts
  const end = plain.indexOf('\n\n', named)
  const event = parseLossless(
    eventData(plain.slice(plain.lastIndexOf('\n\n', named) + 1, end < 0 ? undefined : end).trim()),
  )
  if (!isObject(event)) return facts
  return { ...facts, model: facts.model ?? textAt(event.model), generationId: facts.generationId ?? textAt(event.id) }
}
