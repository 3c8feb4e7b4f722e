import type { OracleOptions } from './oracle.ts'

const schema = {
  type: 'object' as const,
  properties: { city: { type: 'string' as const } },
  required: ['city'],
  additionalProperties: false,
}

/** One conversation with everything in it, as a chat request … */
export const chatConversation = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this, and the weather there?' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
      ],
    },
    {
      role: 'assistant',
      content: 'Looking.',
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } },
        { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{"city":"東京"}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_1', content: 'warm' },
    { role: 'tool', tool_call_id: 'call_2', content: 'cold' },
    { role: 'assistant', content: 'Paris is warm.' },
    { role: 'user', content: 'Thanks. And now?' },
  ],
  tools: [{ type: 'function', function: { name: 'weather', description: 'Weather of a city', parameters: schema } }],
}

/** … and the same in the AI SDK's words. */
export const oracleConversation: OracleOptions = {
  prompt: [
    { role: 'system', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this, and the weather there?' },
        { type: 'file', mediaType: 'image/png', data: { type: 'data', data: 'iVBORw0KGgo=' } },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'text', text: 'Looking.' },
        { type: 'tool-call', toolCallId: 'call_1', toolName: 'weather', input: { city: 'Paris' } },
        { type: 'tool-call', toolCallId: 'call_2', toolName: 'weather', input: { city: '東京' } },
      ],
    },
    {
      role: 'tool',
      content: [
        { type: 'tool-result', toolCallId: 'call_1', toolName: 'weather', output: { type: 'text', value: 'warm' } },
        { type: 'tool-result', toolCallId: 'call_2', toolName: 'weather', output: { type: 'text', value: 'cold' } },
      ],
    },
    { role: 'assistant', content: [{ type: 'text', text: 'Paris is warm.' }] },
    { role: 'user', content: [{ type: 'text', text: 'Thanks. And now?' }] },
  ],
  tools: [{ type: 'function', name: 'weather', description: 'Weather of a city', inputSchema: schema }],
}

export const answerSchema = schema
