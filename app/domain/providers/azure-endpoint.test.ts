/** Azure endpoints, written in every way that leads somewhere else (security §4c, 64-92). */
import { describe, expect, it } from 'vitest'
import { checkCredential } from './check-credential.ts'
import { parseCredential } from './parse-credential.ts'

const azure = {
  endpoint: 'https://my-resource.openai.azure.com/',
  apiKey: 'Zq7pLm2xVtMARK0123456789abcdef',
  deploymentName: 'prod-gpt5',
  apiVersion: '2024-10-21',
}

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
    const result = checkCredential('azure', JSON.stringify({ ...azure, endpoint }))
    expect(result).toMatchObject({ code: 'endpoint_not_allowed', field: 'credential.endpoint' })
    for (const part of ['169.254', 'evil', azure.apiKey]) expect(JSON.stringify(result)).not.toContain(part)
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
