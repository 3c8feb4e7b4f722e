/** What a snippet calls, and with which token. */
export interface SnippetInput {
  /** Origin of this installation, without a slash at its end. */
  origin: string
  token: string
  model: string
}

export interface Snippet {
  id: 'curl' | 'python' | 'typescript' | 'ai-sdk' | 'langchain'
  label: string
  /** What must be installed first; null: nothing. */
  install: string | null
  /** The whole program: it runs as it stands. */
  text: string
}

/** Stands for the token wherever the real one may not be shown. */
export const tokenPlaceholder = 'YOUR_GATEWAY_TOKEN'

const curl = ({ origin, token, model }: SnippetInput): string =>
  `curl -N ${origin}/v1/chat/completions \\
  -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' \\
  -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"Say hello"}]}'`

const python = ({ origin, token, model }: SnippetInput): string =>
  `from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key="${token}")
stream = client.chat.completions.create(
    model="${model}",
    stream=True,
    messages=[{"role": "user", "content": "Say hello"}],
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()`

const typescript = ({ origin, token, model }: SnippetInput): string =>
  `import OpenAI from 'openai'

const client = new OpenAI({ baseURL: '${origin}/v1', apiKey: '${token}' })
const stream = await client.chat.completions.create({
  model: '${model}',
  stream: true,
  messages: [{ role: 'user', content: 'Say hello' }],
})
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '')`

const aiSdk = ({ origin, token, model }: SnippetInput): string =>
  `import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { streamText } from 'ai'

const keymargin = createOpenAICompatible({
  name: 'keymargin',
  baseURL: '${origin}/v1',
  apiKey: '${token}',
  includeUsage: true,
  supportsStructuredOutputs: true,
})
const { textStream } = streamText({ model: keymargin('${model}'), prompt: 'Say hello' })
for await (const text of textStream) process.stdout.write(text)`

const langchain = ({ origin, token, model }: SnippetInput): string =>
  `import { ChatOpenAI } from '@langchain/openai'

const chat = new ChatOpenAI({
  model: '${model}',
  apiKey: '${token}',
  configuration: { baseURL: '${origin}/v1' },
})
for await (const chunk of await chat.stream('Say hello')) process.stdout.write(chunk.text)`

/** Programs that call this installation, ready to paste. Each is executed by a test. */
export const snippetsFor = (input: SnippetInput): Snippet[] => [
  { id: 'curl', label: 'curl', install: null, text: curl(input) },
  { id: 'python', label: 'Python (openai)', install: 'pip install openai', text: python(input) },
  { id: 'typescript', label: 'TypeScript (openai)', install: 'npm install openai', text: typescript(input) },
  { id: 'ai-sdk', label: 'Vercel AI SDK', install: 'npm install ai @ai-sdk/openai-compatible', text: aiSdk(input) },
  {
    id: 'langchain',
    label: 'LangChain',
    install: 'npm install @langchain/openai @langchain/core',
    text: langchain(input),
  },
]
