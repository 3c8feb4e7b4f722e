import OpenAI from 'openai'
import type { ChatCompletion } from 'openai/resources/chat/completions'

/** What the official client's own stream parser makes of these bytes. */
export async function readAsOpenAi(stream: string): Promise<ChatCompletion> {
  const client = new OpenAI({
    apiKey: 'none',
    baseURL: 'http://127.0.0.1:9/v1',
    maxRetries: 0,
    fetch: async () => new Response(stream, { headers: { 'content-type': 'text/event-stream' } }),
  })
  const reader = client.chat.completions.stream({
    model: 'm',
    messages: [{ role: 'user', content: 'hi' }],
    stream_options: { include_usage: true },
  })
  return await reader.finalChatCompletion()
}
