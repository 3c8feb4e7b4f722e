import { anyKey, compatible, plainRoute } from './compatible.ts'
import type { Credential } from './credential.ts'
import type { Provider } from './provider.ts'

const azureOf = (credential: Credential) => {
  if (!credential.azure) throw new Error(`a credential of ${credential.provider} without its endpoint`)
  return credential.azure
}

const deploymentPath = (rest: string) => (call: { credential: Credential }) => {
  const { deploymentName, apiVersion } = azureOf(call.credential)
  return `/openai/deployments/${encodeURIComponent(deploymentName ?? '')}/${rest}?api-version=${apiVersion}`
}

const azureList = (path: string): Provider['models'] => ({
  at: { base: null, path },
  shape: 'deployment',
  public: false,
  prices: null,
})

/** Providers with a wire format, an authentication or an address of their own. */
export const nativeRows: Provider[] = [
  compatible({
    id: 'anthropic',
    name: 'Anthropic',
    baseUrl: 'https://api.anthropic.com/v1',
    auth: 'x-api-key',
    headers: [['anthropic-version', '2023-06-01']],
    keyFormat: anyKey(['sk-ant-api03-', 'sk-ant-'], 'sk-ant-'),
    routes: { chat: { dialect: 'anthropic-messages', path: () => '/messages' } },
    streamUsage: 'always',
    proof: { by: 'models' },
    models: { at: { base: null, path: '/models?limit=1000' }, shape: 'openai', public: false, prices: null },
    nativeModels: /^claude-/,
    authors: ['anthropic'],
    priceTable: 'anthropic',
  }),
  compatible({
    id: 'bedrock',
    name: 'AWS Bedrock',
    aliases: ['aws'],
    baseUrl: 'https://bedrock-runtime.{region}.amazonaws.com',
    credential: 'aws',
    auth: 'sigv4',
    keyFormat: anyKey([], 'AKIA'),
    routes: {
      chat: {
        dialect: 'bedrock-converse',
        path: ({ model, streamed }) =>
          `/model/${encodeURIComponent(model)}/${streamed ? 'converse-stream' : 'converse'}`,
      },
    },
    streamUsage: 'always',
    proof: { by: 'request', at: { base: 'https://sts.{region}.amazonaws.com', path: '/' }, read: 'sts' },
    models: {
      at: { base: 'https://bedrock.{region}.amazonaws.com', path: '/foundation-models' },
      shape: 'bedrock',
      public: false,
      prices: null,
    },
    nativeModels:
      /^(?:(?:us|eu|apac|jp|au|global)\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|nvidia|qwen|writer)\.|^arn:aws:bedrock:/,
    priceTable: 'aws',
  }),
  compatible({
    id: 'azure',
    name: 'Azure OpenAI',
    baseUrl: '{endpoint}',
    credential: 'azure',
    limitName: 'max_completion_tokens',
    auth: 'api-key',
    routes: {
      chat: { dialect: 'openai', path: deploymentPath('chat/completions') },
      embeddings: { dialect: 'openai', path: deploymentPath('embeddings') },
    },
    proof: { by: 'request', at: { base: null, path: '/openai/models' }, read: 'azure', fallBack: 'chat' },
    models: azureList('/openai/models'),
    priceTable: 'azure',
  }),
  compatible({
    id: 'azure-responses',
    name: 'Azure Responses',
    baseUrl: '{endpoint}',
    credential: 'azure_responses',
    auth: 'api-key',
    routes: {
      chat: { dialect: 'openai-responses', path: () => '/openai/v1/responses' },
      responses: plainRoute('/openai/v1/responses'),
    },
    streamUsage: 'always',
    proof: { by: 'request', at: { base: null, path: '/openai/models' }, read: 'azure' },
    models: azureList('/openai/models'),
    priceTable: 'azure',
  }),
]
