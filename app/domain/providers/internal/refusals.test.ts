import { expect, test } from 'vitest'
import type { ProviderId } from '../provider.ts'
import { providerOf } from '../registry.ts'
import { judgeRefusal } from './refusals.ts'

const judge = (id: ProviderId, status: number, body: object | string) =>
  judgeRefusal(providerOf(id), status, typeof body === 'string' ? body : JSON.stringify(body))

test.each<[string, ProviderId, number, object | string, string]>([
  [
    'a bad key at Google',
    'google',
    400,
    { error: { status: 'INVALID_ARGUMENT', message: 'API key not valid.' } },
    'invalid',
  ],
  ['a leaked key at Google', 'google', 403, { error: { message: 'Your API key was reported as leaked.' } }, 'invalid'],
  [
    'an API that is switched off at Google',
    'google',
    403,
    { error: { details: [{ reason: 'SERVICE_DISABLED' }] } },
    'restricted',
  ],
  ['another 403 at Google', 'google', 403, { error: { message: 'Forbidden' } }, 'unverified'],
  ['a bad key at xAI', 'xai', 400, { error: 'Incorrect API key provided: xa***ey.' }, 'invalid'],
  [
    'a missing scope at OpenAI, as a 401',
    'openai',
    401,
    { error: { message: 'Missing scopes: api.model.read' } },
    'restricted',
  ],
  [
    'a missing header at Anthropic',
    'anthropic',
    400,
    { error: { message: 'anthropic-version: header is required' } },
    'unverified',
  ],
  ['a bad key at Novita', 'novita', 403, { message: 'Failed to authenticate API Key' }, 'invalid'],
  ['a 403 of OpenRouter', 'openrouter', 403, { error: { message: 'Forbidden' } }, 'unverified'],
  ['a model that is not there', 'sambanova', 404, 'Model not found', 'unverified'],
  ['an error page', 'groq', 418, '<html>', 'unverified'],
])('%s', (_what, id, status, body, outcome) => {
  expect(judge(id, status, body).outcome).toBe(outcome)
})
