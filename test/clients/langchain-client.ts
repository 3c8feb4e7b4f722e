import type { AIMessageChunk } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { type ClientLibrary, failed, question, type Target, weatherTool } from './client.ts'

const open = ({ baseURL, token, model }: Target) =>
  new ChatOpenAI({ model, apiKey: token, maxRetries: 0, streamUsage: true, configuration: { baseURL } })

const usageOf = ({ usage_metadata: usage }: AIMessageChunk) =>
  usage ? { input: usage.input_tokens, output: usage.output_tokens } : null

const plain = async (target: Target) => {
  const reply = await open(target).invoke(question)
  return { text: String(reply.content), usage: usageOf(reply as AIMessageChunk) }
}

async function gathered(stream: AsyncIterable<AIMessageChunk>): Promise<{ message: AIMessageChunk; pieces: number }> {
  let message: AIMessageChunk | null = null
  let pieces = 0
  for await (const chunk of stream) {
    message = message ? message.concat(chunk) : chunk
    pieces += chunk.content ? 1 : 0
  }
  if (!message) throw new Error('the stream was empty')
  return { message, pieces }
}

/** LangChain.js with its client for OpenAI. */
export const langchainClient: ClientLibrary = {
  name: '@langchain/openai',
  plain,
  stream: async (target) => {
    const { message, pieces } = await gathered(await open(target).stream(question))
    return { text: String(message.content), pieces, usage: usageOf(message) }
  },
  tools: async (target, streamed) => {
    const bound = open(target).bindTools([{ type: 'function', function: weatherTool }], { tool_choice: 'required' })
    const message = streamed ? (await gathered(await bound.stream(question))).message : await bound.invoke(question)
    return (message.tool_calls ?? []).map((call) => ({ name: call.name, arguments: call.args }))
  },
  failure: (target) => failed(() => plain(target)),
  brokenStream: async (target) => {
    try {
      await gathered(await open(target).stream(question))
      return null
    } catch (error) {
      return (error as Error).message
    }
  },
  leave: async (target) => {
    const left = new AbortController()
    try {
      for await (const chunk of await open(target).stream(question, { signal: left.signal }))
        if (chunk.content) left.abort()
    } catch (error) {
      if (!left.signal.aborted) throw error
    }
  },
}
