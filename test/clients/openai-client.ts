import OpenAI from 'openai'
import { type ClientLibrary, failed, question, type Target, weatherTool } from './client.ts'

const open = ({ baseURL, token }: Target) => new OpenAI({ baseURL, apiKey: token, maxRetries: 0 })
const messages = [{ role: 'user' as const, content: question }]
const tools = [{ type: 'function' as const, function: weatherTool }]

const usageOf = (usage: OpenAI.CompletionUsage | null | undefined) =>
  usage ? { input: usage.prompt_tokens, output: usage.completion_tokens } : null

const startStream = (target: Target) =>
  open(target).chat.completions.create({
    model: target.model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  })

const plain = async (target: Target) => {
  const reply = await open(target).chat.completions.create({ model: target.model, messages })
  return { text: reply.choices[0]?.message.content ?? '', usage: usageOf(reply.usage) }
}

/** The official library. */
export const openaiClient: ClientLibrary = {
  name: 'openai',
  plain,
  stream: async (target) => {
    let [text, pieces] = ['', 0]
    let usage: OpenAI.CompletionUsage | null | undefined
    for await (const chunk of await startStream(target)) {
      text += chunk.choices[0]?.delta.content ?? ''
      pieces += chunk.choices[0]?.delta.content ? 1 : 0
      usage = chunk.usage ?? usage
    }
    return { text, pieces, usage: usageOf(usage) }
  },
  tools: async (target, streamed) => {
    const client = open(target)
    const request = { model: target.model, messages, tools, tool_choice: 'required' as const }
    const message = streamed
      ? (await client.chat.completions.stream(request).finalChatCompletion()).choices[0]?.message
      : (await client.chat.completions.create(request)).choices[0]?.message
    return (message?.tool_calls ?? []).map((call) => {
      if (call.type !== 'function') throw new Error('not a function')
      return { name: call.function.name, arguments: JSON.parse(call.function.arguments) as Record<string, unknown> }
    })
  },
  failure: (target) => failed(() => plain(target)),
  brokenStream: async (target) => {
    try {
      for await (const _chunk of await startStream(target));
      return null
    } catch (error) {
      return (error as Error).message
    }
  },
  leave: async (target) => {
    const stream = await startStream(target)
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
    stream.controller.abort()
  },
}
