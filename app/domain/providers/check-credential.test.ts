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
      'a version that tells no usage of streams',
      'azure',
      JSON.stringify({ ...azure, apiVersion: '2024-06-01' }),
      'credential.apiVersion',
      /2024-09-01-preview or later.*no usage of streams/,
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

  test('the first version that tells the usage of streams is taken, and Responses takes any: its path ignores it', () => {
    expect(checkCredential('azure', { ...azure, apiVersion: '2024-09-01-preview' })).toMatchObject({ ok: true })
    const { deploymentName: _, ...responses } = azure
    expect(checkCredential('azure-responses', { ...responses, apiVersion: '2024-06-01' })).toMatchObject({ ok: true })
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

describe('a region that was changed in the database', () => {
  it('does not open: it is part of a host', () => {
    expect(() => parseCredential('bedrock', JSON.stringify({ ...aws, region: 'x.evil.com/' }))).toThrow(/region/)
  })
})
