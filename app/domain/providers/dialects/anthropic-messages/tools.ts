import type { Chat } from '../chat-request.ts'
import type { Tool, ToolChoice } from '../chat-tools.ts'
import { compact, type Json } from '../json-object.ts'

const tool = ({ name, description, parameters, strict, cache }: Tool): Json =>
  compact({ name, description, input_schema: parameters, strict: strict || null, cache_control: cache })

/** A choice of tools; also Bedrock's, where Claude takes it as it stands. */
export function toolChoice(choice: ToolChoice | null, oneAtATime: boolean): Json | null {
  if (choice?.kind === 'none') return { type: 'none' }
  if (choice === null && !oneAtATime) return null
  const chosen =
    choice?.kind === 'named'
      ? { type: 'tool', name: choice.name }
      : { type: choice?.kind === 'required' ? 'any' : 'auto' }
  return oneAtATime ? { ...chosen, disable_parallel_tool_use: true } : chosen
}

export function tools(chat: Chat): Json {
  if (chat.tools.length === 0) return {}
  return compact({ tools: chat.tools.map(tool), tool_choice: toolChoice(chat.toolChoice, chat.oneToolAtATime) })
}
