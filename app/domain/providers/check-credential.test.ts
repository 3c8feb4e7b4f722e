/** Pasted credentials with fields, asked with everything that people and programs paste (security §4c, 48-92). */
import { describe, expect, it, test } from 'vitest'
import { checkCredential, maskCredential } from './check-credential.ts'
import { parseCredential } from './parse-credential.ts'
import type { ProviderId } from './provider.ts'

/** Stands inside odd values, and must not come back from anywhere. */
const MARK = 'Zq7pLm2xVtMARK'
const aws = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: `${MARK}wJalrXUtnFEMIK7MDENGbPx`,
  region: 'us-east-1',
}
const azure = {
  endpoint: 'https://my-resource.openai.azure.com/',
  apiKey: `${MARK}0123456789abcdef0123`,
  deploymentName: 'prod-gpt5',
  apiVersion: '2024-10-21',
}
const awsText = JSON.stringify(aws)
const azureText = JSON.stringify(azure)

/** Refused, with what was pasted nowhere in the answer. */
function refused(id: ProviderId, input: string | Record<string, unknown>) {
  const result = checkCredential(id, input)
  expect(result.ok).toBe(false)
  expect(JSON.stringify(result)).not.toContain(MARK)
  return result as Extract<typeof result, { ok: false }>
}

describe('JSON credentials', () => {
  it.each<[number, string, ProviderId, string, string, RegExp]>([
    [48, 'not JSON', 'bedrock', `my key is ${MARK}`, 'credential', /no JSON.*accessKeyId, secretAccessKey, region/],
    [48, 'nothing', 'bedrock', '  ', 'credential', /Paste the credential/],
    [48, 'a list', 'bedrock', `["${MARK}"]`, 'credential', /no JSON/],
    [48, 'no value', 'bedrock', `{"accessKeyId": ${MARK}}`, 'credential', /no valid JSON/],
    [49, 'truncated', 'bedrock', awsText.slice(0, -5), 'credential', /cut off/],
    [50, 'a trailing comma', 'bedrock', `${awsText.slice(0, -1)},}`, 'credential', /Remove the comma/],
    [51, 'a field twice', 'azure', `${azureText.slice(0, -1)},"apiKey":"${MARK}"}`, 'credential.apiKey', /given twice/],
    [
      51,
      'a field twice, once in disguise',
      'azure',
      `${azureText.slice(0, -1)},"api\\u004bey":"${MARK}"}`,
      'credential.apiKey',
      /given twice/,
    ],
    [52, 'an unknown field', 'bedrock', JSON.stringify({ ...aws, [MARK]: 'x' }), 'credential', /not expected/],
    [
      52,
      'another kind’s field',
      'azure-responses',
      azureText,
      'credential',
      /not expected.*endpoint, apiKey, apiVersion/,
    ],
    [
      53,
      'no region',
      'bedrock',
      JSON.stringify({ ...aws, region: undefined }),
      'credential.region',
      /region is missing/,
    ],
    [
      54,
      'a host in the region',
      'bedrock',
      JSON.stringify({ ...aws, region: 'us-east-1.evil.com/' }),
      'credential.region',
      /AWS region/,
    ],
    [
      54,
      'a path in the region',
      'bedrock',
      JSON.stringify({ ...aws, region: 'us-east-1/..' }),
      'credential.region',
      /AWS region/,
    ],
    [
      55,
      'a line break in the region',
      'bedrock',
      JSON.stringify({ ...aws, region: 'us-east-1\n' }),
      'credential.region',
      /AWS region/,
    ],
    [
      56,
      '__proto__',
      'bedrock',
      `${awsText.slice(0, -1)},"__proto__":{"region":"us-east-1"}}`,
      'credential',
      /not expected/,
    ],
    [56, 'constructor', 'bedrock', `${awsText.slice(0, -1)},"constructor":"x"}`, 'credential', /not expected/],
    [
      57,
      'id and secret swapped',
      'bedrock',
      JSON.stringify({ ...aws, accessKeyId: aws.secretAccessKey, secretAccessKey: aws.accessKeyId }),
      'credential.accessKeyId',
      /swapped/,
    ],
    [
      57,
      'the secret twice',
      'bedrock',
      JSON.stringify({ ...aws, accessKeyId: aws.secretAccessKey }),
      'credential.accessKeyId',
      /access key id/,
    ],
    [
      57,
      'a role for the id',
      'bedrock',
      JSON.stringify({ ...aws, accessKeyId: 'AROAIOSFODNN7EXAMPLE' }),
      'credential.accessKeyId',
      /role or a user/,
    ],
    [
      57,
      'half a secret',
      'bedrock',
      JSON.stringify({ ...aws, secretAccessKey: MARK }),
      'credential.secretAccessKey',
      /not complete/,
    ],
    [
      58,
      'a temporary key without its token',
      'bedrock',
      JSON.stringify({ ...aws, accessKeyId: 'ASIAIOSFODNN7EXAMPLE' }),
      'credential.sessionToken',
      /sessionToken/,
    ],
    [59, '100 KB', 'bedrock', JSON.stringify({ ...aws, sessionToken: MARK.repeat(8_000) }), 'credential', /too long/],
    [
      59,
      'a session token of 10 KB',
      'bedrock',
      JSON.stringify({ ...aws, sessionToken: 'x'.repeat(10_000) }),
      'credential.sessionToken',
      /at most/,
    ],
    [60, 'a byte order mark', 'bedrock', `\ufeff${awsText}`, 'credential', /byte order mark/],
    [
      61,
      'a number for a key',
      'azure',
      JSON.stringify({ ...azure, apiKey: 12345678901234 }),
      'credential.apiKey',
      /text in double quotes/,
    ],
    [
      61,
      'null for a key',
      'azure',
      JSON.stringify({ ...azure, apiKey: null }),
      'credential.apiKey',
      /text in double quotes/,
    ],
    [
      61,
      'an object for a key',
      'azure',
      JSON.stringify({ ...azure, apiKey: { not: '' } }),
      'credential.apiKey',
      /text in double quotes/,
    ],
    [62, 'single quotes', 'bedrock', awsText.replaceAll('"', "'"), 'credential', /double quotes/],
    [62, 'typographic quotes', 'bedrock', awsText.replaceAll('"', '”'), 'credential', /straight quotes/],
    [63, 'a private key', 'bedrock', `-----BEGIN PRIVATE KEY-----\n${MARK}`, 'credential', /private key file/],
    [24, 'one of our tokens', 'bedrock', `km_live_${MARK}`, 'credential', /Keymargin token/],
    [
      47,
      'a masked key',
      'azure',
      JSON.stringify({ ...azure, apiKey: `••••••••${MARK}` }),
      'credential.apiKey',
      /masked form/,
    ],
    [
      7,
      'a header in a key',
      'azure',
      JSON.stringify({ ...azure, apiKey: `${MARK}\r\nX-Evil: 1` }),
      'credential.apiKey',
      /line break/,
    ],
    [
      53,
      'no deployment',
      'azure',
      JSON.stringify({ ...azure, deploymentName: '' }),
      'credential.deploymentName',
      /missing/,
    ],
    [
      82,
      'a path for a deployment',
      'azure',
      JSON.stringify({ ...azure, deploymentName: '../x' }),
      'credential.deploymentName',
      /may hold/,
    ],
    [
      82,
      'dots for a deployment',
      'azure',
      JSON.stringify({ ...azure, deploymentName: '..' }),
      'credential.deploymentName',
      /may hold/,
    ],
    [
      53,
      'no version',
      'azure',
      JSON.stringify({ ...azure, apiVersion: undefined }),
      'credential.apiVersion',
      /missing/,
    ],
    [
      53,
      'a version of no shape',
      'azure',
      JSON.stringify({ ...azure, apiVersion: '2024-10-21&x=1' }),
      'credential.apiVersion',
      /look like/,
    ],
  ])('case %i, %s: %s', (_number, _what, id, text, field, message) => {
    const result = refused(id, text)
    expect(result.field).toBe(field)
    expect(result.message).toMatch(message)
  })

  test('good ones are taken, in one fixed form, however they were written', () => {
    const forms = [
      awsText,
      JSON.stringify(Object.fromEntries(Object.entries(aws).reverse()), null, 2),
      { ...aws },
      { ...aws, sessionToken: '' },
    ]
    for (const form of forms) {
      const checked = checkCredential('bedrock', form as string)
      expect(checked).toMatchObject({ ok: true, sealedText: awsText, warning: null })
      if (checked.ok) expect(parseCredential('bedrock', checked.sealedText)).toEqual(checked.credential)
    }
    const temporary = { ...aws, accessKeyId: 'ASIAIOSFODNN7EXAMPLE', sessionToken: `${MARK}//token==` }
    expect(checkCredential('bedrock', JSON.stringify(temporary))).toMatchObject({
      ok: true,
      credential: { apiKey: '', aws: temporary, secrets: [aws.secretAccessKey, temporary.sessionToken] },
    })
    expect(checkCredential('bedrock', { ...aws, region: 'us-gov-west-1' })).toMatchObject({ ok: true })
    expect(checkCredential('azure', azureText)).toMatchObject({
      ok: true,
      credential: {
        apiKey: azure.apiKey,
        azure: {
          origin: 'https://my-resource.openai.azure.com',
          deploymentName: 'prod-gpt5',
          apiVersion: '2024-10-21',
        },
        secrets: [azure.apiKey],
      },
    })
    const { deploymentName: _, ...responses } = azure
    for (const apiVersion of ['2025-03-01-preview', 'v1', 'preview', ''])
      expect(checkCredential('azure-responses', { ...responses, apiVersion })).toMatchObject({
        ok: true,
        credential: { azure: { deploymentName: null } },
      })
  })

  test('2024-10-21-preview is taken with a warning: documents show it, Azure does not list it', () => {
    const checked = checkCredential('azure', { ...azure, apiVersion: '2024-10-21-preview' })
    expect(checked).toMatchObject({ ok: true, warning: expect.stringContaining('change apiVersion to 2024-10-21') })
  })

  test('a form with other fields, or with a file for one, is refused', () => {
    expect(refused('azure', { ...azure, [MARK]: 'x' }).field).toBe('credential')
    expect(refused('azure', { ...azure, apiKey: new File([MARK], 'key.txt') }).field).toBe('credential.apiKey')
    expect(refused('openai', { apiKey: [MARK] }).field).toBe('credential.apiKey')
  })

  test('hints show the end of the secret and where it belongs, never an access key id as a whole', () => {
    const hint = (id: ProviderId, text: string) => maskCredential(parseCredential(id, text))
    expect(hint('bedrock', awsText)).toBe('AKIA…MPLE us-east-1')
    expect(hint('azure', azureText)).toBe('…0123 my-resource')
    expect(hint('openai', 'sk-proj-0123456789abcdef')).toBe('sk-proj-…cdef')
  })
})

describe('Azure endpoints', () => {
  it.each<[number, string]>([
    [64, 'http://my-resource.openai.azure.com'],
    [65, 'http://169.254.169.254/'],
    [65, 'https://169.254.169.254/'],
    [66, '0x7f.1'],
    [66, 'https://0x7f.1'],
    [67, 'https://2130706433'],
    [68, 'https://127.1'],
    [69, 'https://017700000001'],
    [70, 'https://[::1]'],
    [71, 'https://[::ffff:127.0.0.1]'],
    [72, 'https://[64:ff9b::7f00:1]'],
    [73, 'https://①②⑦.0.0.1'],
    [74, 'https://0'],
    [75, 'https://localhost.'],
    [76, 'https://metadata.google.internal'],
    [77, 'https://x.openai.azure.com@evil'],
    [77, 'https://x.openai.azure.com:pw@evil.com'],
    [78, 'https://evil\\@x.openai.azure.com'],
    [79, 'https://x.openai.azure.com.evil.com'],
    [80, 'https://xopenai.azure.com'],
    [80, 'https://openai.azure.com'],
    [81, 'https://x.openai.azure.com:8443'],
    [82, 'https://x.openai.azure.com/openai/deployments/y'],
    [82, 'https://x.openai.azure.com/a/../b'],
    [82, 'https://x.openai.azure.com/%2e%2e/'],
    [82, 'https://x.openai.azure.com/..'],
    [83, 'https://x.openai.azure.com/?a=1'],
    [83, 'https://x.openai.azure.com/#x'],
    [83, 'https://x.openai.azure.com?'],
    [84, 'https://x.openai.azure.com。'],
    [84, 'https://x.openai.azure.com.'],
    [84, 'https://x。openai.azure.com'],
    [85, 'https://x.openai.azure.com\r\nHost: evil'],
    [85, 'https://x.open\nai.azure.com'],
    [85, 'https://x.openai.azure.com/\t'],
    [90, 'file:///etc/passwd'],
    [90, 'gopher://x.openai.azure.com'],
    [90, 'ftp://x.openai.azure.com'],
    [91, `https://${'a'.repeat(280)}.openai.azure.com`],
    [91, `https://${'a'.repeat(64)}.openai.azure.com`],
    [92, 'https://x.openai.аzure.com'],
    [92, 'https://xn--80ak6aa92e.openai.azure.com'],
    [92, 'https://x.xn--pnai-95d.azure.com'],
    [92, 'https://x.y.openai.azure.com'],
    [92, 'https://-x.openai.azure.com'],
  ])('case %i: %s', (_number, endpoint) => {
    const result = refused('azure', JSON.stringify({ ...azure, endpoint }))
    expect(result).toMatchObject({ code: 'endpoint_not_allowed', field: 'credential.endpoint' })
    expect(result.message).not.toContain('169.254')
    expect(result.message).not.toContain('evil')
    // A row that somebody wrote by hand is held to the same when it is opened.
    expect(() => parseCredential('azure', JSON.stringify({ ...azure, endpoint }))).toThrow(/endpoint/)
  })

  it.each([
    'https://x.openai.azure.com',
    'https://my-resource-01.openai.azure.com/',
    'https://r.cognitiveservices.azure.com',
    'HTTPS://R.Services.AI.Azure.com',
    'https://x.openai.azure.com:443',
  ])('%s is an Azure resource', (endpoint) => {
    const checked = checkCredential('azure', { ...azure, endpoint })
    expect(checked).toMatchObject({ ok: true, credential: { azure: { origin: new URL(endpoint).origin } } })
  })
})

describe('a region that was changed in the database', () => {
  it('does not open: it is part of a host', () => {
    expect(() => parseCredential('bedrock', JSON.stringify({ ...aws, region: 'x.evil.com/' }))).toThrow(/region/)
  })
})

describe('OpenRouter’s second key', () => {
  const apiKey = `sk-or-v1-${'ab'.repeat(32)}`
  const managementKey = `sk-or-v1-${'cd'.repeat(32)}`

  it('is sealed with the first, which alone is sealed as it is', () => {
    expect(checkCredential('openrouter', { apiKey, managementKey: '' })).toMatchObject({ ok: true, sealedText: apiKey })
    const both = checkCredential('openrouter', { apiKey, managementKey })
    expect(both).toMatchObject({ ok: true, credential: { apiKey, managementKey, secrets: [apiKey, managementKey] } })
    if (both.ok) expect(parseCredential('openrouter', both.sealedText)).toEqual(both.credential)
  })

  it('has an error of its own', () => {
    expect(refused('openrouter', { apiKey, managementKey: 'sk-ant-x' }).field).toBe('credential.managementKey')
    expect(refused('openrouter', { apiKey, managementKey: apiKey }).message).toMatch(/API key again/)
    expect(refused('openrouter', { apiKey: '', managementKey }).field).toBe('credential.apiKey')
    expect(refused('openrouter', MARK).field).toBe('key')
  })
})
