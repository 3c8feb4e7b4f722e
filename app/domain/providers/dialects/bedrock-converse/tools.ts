import { toolChoice as claudeToolChoice } from '../anthropic-messages/tools.ts'
import type { Chat } from '../chat-request.ts'
import type { Tool, ToolChoice } from '../chat-tools.ts'
import { compact, type Json } from '../json-object.ts'
import { refuse } from '../refuse.ts'
import { cachePoint, provider } from './content.ts'

function tool({ name, description, parameters, strict, cache }: Tool): Json[] {
  const toolSpec = compact({ name, description, inputSchema: { json: parameters }, strict: strict || null })
  return cache ? [{ toolSpec }, cachePoint(cache)] : [{ toolSpec }]
}

function converseChoice(choice: ToolChoice | null): Json | null {
  if (choice === null) return null
  if (choice.kind === 'named') return { tool: { name: choice.name } }
  return choice.kind === 'required' ? { any: {} } : { auto: {} }
}

export interface BedrockTools {
  toolConfig: Json | null
  /** Claude's own form of the choice, for what Converse has no words for. */
  claudeChoice: Json | null
}

/**
 * Converse cannot forbid tools: without any in the request none can be called, which is the same, but where the
 * conversation holds tool calls it wants to see them.
 */
export function tools(chat: Chat, called: boolean, isClaude: boolean): BedrockTools {
  const forbidden = chat.toolChoice?.kind === 'none'
  if (forbidden && called) refuse('tool_choice', `must not be 'none' for ${provider} after a tool was called.`)
  if (chat.tools.length === 0 && called) refuse('tools', `is required by ${provider} after a tool was called.`)
  if (chat.tools.length === 0 || forbidden) return { toolConfig: null, claudeChoice: null }
  const specs = chat.tools.flatMap(tool)
  if (!chat.oneToolAtATime)
    return { toolConfig: compact({ tools: specs, toolChoice: converseChoice(chat.toolChoice) }), claudeChoice: null }
  if (!isClaude) refuse('parallel_tool_calls', `must not be false for this model on ${provider}.`)
  return { toolConfig: { tools: specs }, claudeChoice: claudeToolChoice(chat.toolChoice, true) }
}
