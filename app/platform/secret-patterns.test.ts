import { describe, expect, it } from 'vitest'
import { scrubSecrets } from './secret-patterns.ts'

describe('the scrubber at the sink', () => {
  it.each([
    `Incorrect API key provided: sk-or-v1-${'ab12'.repeat(16)}.`,
    'Headers.append: "Bearer sk-or-v1-abcdefghijkl" is an invalid header value',
    'token km_live_0123456789abcdefABCDEF0123456789abcdef',
    'stripe sk_live_51ABCdefGHI and whsec_abcdefgh12345678',
    'could not connect to postgresql://keymargin:hunter2hunter2@db/keymargin',
    'could not connect to smtps://keymargin:hunter2hunter2@mail',
  ])('leaves no secret in %j', (line) => {
    const clean = scrubSecrets(line)
    expect(clean).toContain('[secret]')
    expect(clean).not.toMatch(/ab12ab12|abcdefghijkl|0123456789abcdef|51ABC|abcdefgh1234|hunter2/)
  })
  it('takes no longer for a text made of beginnings', () => {
    const text = 'postgres://a:'.repeat(200_000) // an hour, where each beginning is read to the end
    expect(scrubSecrets(text)).toBe(text)
  })
  it('leaves ordinary text as it is', () =>
    expect(scrubSecrets('job close-month done in 12 ms')).toBe('job close-month done in 12 ms'))
})
