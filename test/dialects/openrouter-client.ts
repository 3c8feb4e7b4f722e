import { createOpenRouter } from '@openrouter/ai-sdk-provider'
import { jsonSchema, stepCountIs, streamText, tool } from 'ai'

/**
 * Runs OpenRouter's own client over a stream of ours: it reads the stream, answers the tool calls in it and asks again.
 * @returns the second request it sends
 */
export async function openRouterTurns(stream: string, answer: (call: { id: string }) => string): Promise<unknown> {
  const sent: unknown[] = []
  const openrouter = createOpenRouter({
    apiKey: 'none',
    baseURL: 'http://127.0.0.1:9/v1',
    compatibility: 'strict',
    fetch: async (_url, init) => {
      sent.push(JSON.parse(String(init?.body)))
      const body = sent.length === 1 ? stream : 'data: [DONE]\n\n'
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    },
  })
  const lookup = tool({
    inputSchema: jsonSchema({ type: 'object' }),
    execute: async (_input, { toolCallId }) => answer({ id: toolCallId }),
  })
  const result = streamText({
    model: openrouter('m'),
    prompt: 'weather?',
    tools: { weather: lookup, now: lookup },
    stopWhen: stepCountIs(2),
    onError: () => {},
  })
  await result.consumeStream()
  return sent[1]
}
