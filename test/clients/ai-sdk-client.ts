import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { createOpenRouter } from '@openrouter/ai-sdk-provider'
import { generateText, jsonSchema, type LanguageModel, stepCountIs, streamText, tool } from 'ai'
import { type ClientLibrary, failed, question, type Target, weatherTool } from './client.ts'

const tools = {
  [weatherTool.name]: tool({
    description: weatherTool.description,
    inputSchema: jsonSchema<{ city: string }>(weatherTool.parameters),
  }),
}

const usageOf = (usage: { inputTokens?: number; outputTokens?: number }) =>
  usage.inputTokens === undefined || usage.outputTokens === undefined
    ? null
    : { input: usage.inputTokens, output: usage.outputTokens }

function clientOf(name: string, modelOf: (target: Target) => LanguageModel): ClientLibrary {
  const plain = async (target: Target) => {
    const { text, usage } = await generateText({ model: modelOf(target), prompt: question, maxRetries: 0 })
    return { text, usage: usageOf(usage) }
  }
  const start = (target: Target, more: object = {}) =>
    streamText({ model: modelOf(target), prompt: question, maxRetries: 0, onError: () => {}, ...more })
  return {
    name,
    plain,
    stream: async (target) => {
      const result = start(target)
      let [text, pieces] = ['', 0]
      for await (const piece of result.textStream) {
        text += piece
        pieces += 1
      }
      return { text, pieces, usage: usageOf(await result.usage) }
    },
    tools: async (target, streamed) => {
      const more = { tools, toolChoice: 'required' as const, stopWhen: stepCountIs(1) }
      const calls = streamed
        ? await start(target, more).toolCalls
        : (await generateText({ model: modelOf(target), prompt: question, maxRetries: 0, ...more })).toolCalls
      return calls.map((call) => ({ name: call.toolName, arguments: call.input as Record<string, unknown> }))
    },
    failure: (target) => failed(() => plain(target)),
    brokenStream: async (target) => {
      try {
        for await (const part of start(target).fullStream)
          if (part.type === 'error') return String((part.error as Error).message ?? part.error)
        return null
      } catch (error) {
        return (error as Error).message
      }
    },
    leave: async (target) => {
      const left = new AbortController()
      try {
        for await (const _piece of start(target, { abortSignal: left.signal }).textStream) left.abort()
      } catch (error) {
        if (!left.signal.aborted) throw error
      }
    },
  }
}

/** Vercel's AI SDK with its provider for OpenAI-compatible hosts. */
export const aiSdkCompatible = clientOf('ai with @ai-sdk/openai-compatible', ({ baseURL, token, model }) =>
  createOpenAICompatible({ name: 'keymargin', baseURL, apiKey: token, includeUsage: true })(model),
)

/** Vercel's AI SDK with OpenRouter's own provider, pointed here. */
export const aiSdkOpenRouter = clientOf('ai with @openrouter/ai-sdk-provider', ({ baseURL, token, model }) =>
  createOpenRouter({ baseURL, apiKey: token, compatibility: 'strict' })(model),
)
