/** Signing in: limits, answers that give nothing away, and where it leads afterwards. */
import { describe, expect, it } from 'vitest'
import { useDatabase } from '#test/database.ts'
import { makePerson, personPassword, useWeb, Visitor } from '#test/web.ts'
import { INSIDE } from './inside.ts'

describe('the sign-in', () => {
  const db = useDatabase()
  /** Behind a proxy, so that every try can come from an address of its own. */
  const limited = useWeb(db, () => ({ TRUST_PROXY: '1' }))
  let addresses = 0
  const newAddress = () => `198.51.100.${++addresses % 250}`

  describe('case 178, where the sign-in leads', () => {
    it.each([
      ['//evil.example', '/'],
      ['/\\evil.example', '/'],
      ['\\\\evil.example', '/'],
      ['https://evil.example/', '/'],
      ['javascript:alert(1)', '/'],
      ['/..//evil.example', '/'],
      ['/.//evil.example', '/'],
      ['/a/../..//evil.example', '/'],
      ['/\t/evil.example', '/'],
      ['/%09/evil.example', '/%09/evil.example'],
      ['evil.example', '/'],
      ['', '/'],
      ['/w/acme/analytics?from=2026-01-01', '/w/acme/analytics?from=2026-01-01'],
    ])('?to=%s', async (to, leads) => {
      const person = await makePerson()
      const form = { intent: 'sign-in', email: person.email, password: personPassword }
      const visitor = new Visitor(limited.origin)
      const url = `/sign-in?to=${encodeURIComponent(to)}`
      const response = await visitor.post(url, form, { headers: { 'x-forwarded-for': newAddress() } })
      expect(response.status).toBe(302)
      expect(response.headers.get('location')).toBe(leads)
      expect(new URL(leads, limited.origin).origin).toBe(limited.origin)
    })
  })

  describe('a try', () => {
    const tryOnce = (email: string, password: string, address: string) =>
      new Visitor(limited.origin).post(
        '/sign-in?_data=routes%2Fsign-in',
        { intent: 'sign-in', email, password },
        { headers: { 'x-forwarded-for': address } },
      )

    /** So many at once: one after the other, a slow machine takes longer than the minute that is counted. */
    const tries = async (count: number, one: (n: number) => Promise<Response>) =>
      (await Promise.all(Array.from({ length: count }, (_, n) => one(n)))).map(({ status }) => status).sort()

    it('stops the sixth try on one account, from wherever it comes, the right password too', async () => {
      const { email } = await makePerson()
      const wrong = (n: number) => tryOnce(email, `wrong password ${n}`, newAddress())
      expect(await tries(5, wrong)).toEqual(Array(5).fill(400))
      expect((await tryOnce(email, 'wrong password 6', newAddress())).status).toBe(429)
      const right = await tryOnce(` ${email.toUpperCase()}`, personPassword, newAddress())
      expect(right.status).toBe(429)
      expect(right.headers.getSetCookie()).toEqual([])
    })

    it('that is refused says in how many seconds to come back, with and without scripts', async () => {
      const { email } = await makePerson()
      await tries(5, () => tryOnce(email, 'a wrong password', newAddress()))
      const refused = await tryOnce(email, 'a wrong password', newAddress())
      const seconds = Number(refused.headers.get('retry-after'))
      expect(seconds).toBeGreaterThan(0)
      expect(seconds).toBeLessThanOrEqual(60)
      expect(await refused.text()).toContain(`Try again in ${seconds} second`)
      const form = { intent: 'sign-in', email, password: 'a wrong password' }
      const headers = { 'x-forwarded-for': newAddress() }
      const page = await new Visitor(limited.origin).post('/sign-in', form, { headers })
      expect([page.status, Number(page.headers.get('retry-after')) > 0]).toEqual([429, true])
    })

    it('stops the twenty-first try from one address, whatever else the address header says', async () => {
      const address = newAddress()
      const one = (n: number) => tryOnce(`nobody-${n}@example.com`, 'wrong password', `203.0.113.${n}, ${address}`)
      expect(await tries(21, one)).toEqual([...Array(20).fill(400), 429])
    })

    it('counts only tries that fail: an office behind one address comes to work, and a guesser there has his twenty', async () => {
      const [{ email }, address] = [await makePerson(), newAddress()]
      for (let n = 0; n < 25; n++) expect((await tryOnce(email, personPassword, address)).status).toBe(204)
      const guess = (n: number) => tryOnce(`guess-${n}@example.com`, 'wrong', address)
      expect(await tries(21, guess)).toEqual([...Array(20).fill(400), 429])
      expect((await tryOnce(email, personPassword, address)).status).toBe(429)
    })

    it('answers alike for an unknown account and a wrong password, and takes as long', async () => {
      const shape = async (email: string) => {
        const started = performance.now()
        const response = await tryOnce(email, 'a wrong password', newAddress())
        const text = (await response.text()).replace(/"requestId":"[^"]*"/, '')
        return {
          ms: performance.now() - started,
          seen: `${response.status} ${text} ${response.headers.getSetCookie()}`,
        }
      }
      const times = { known: [] as number[], unknown: [] as number[] }
      const fastest = (list: number[]) => Math.min(...list)
      const ratio = () => fastest(times.unknown) / fastest(times.known)
      const alike = () => ratio() > 0.5 && ratio() < 2
      // Where a busy machine has held one of them up, more tries show what it takes at least.
      for (let n = 0; n < 5 || (n < 100 && !alike()); n++) {
        const known = await shape((await makePerson()).email)
        const unknown = await shape(`unknown-${n}@example.com`)
        expect(unknown.seen).toBe(known.seen)
        times.known.push(known.ms)
        times.unknown.push(unknown.ms)
      }
      expect(ratio()).toBeGreaterThan(0.5)
      expect(ratio()).toBeLessThan(2)
    })

    it.each([
      ['case 177, line breaks', 'a@example.com\r\nBcc: b@example.com'],
      ['NUL', 'a\0@example.com'],
      ['321 characters', `${'a'.repeat(310)}@example.com`],
      ['an operator', '{"$ne":null}'],
      ['nothing', ''],
    ])('an e-mail address with %s is one that nobody has', async (_what, email) => {
      const response = await tryOnce(email, personPassword, newAddress())
      const text = await response.text()
      expect(response.status).toBe(400)
      expect(text).not.toMatch(INSIDE)
      if (email) expect(text).not.toContain(JSON.stringify(email).slice(1, -1))
    })

    it('NUL in the password, and one of 10,000 characters, are wrong passwords', async () => {
      const { email } = await makePerson()
      for (const password of ['\0', 'x'.repeat(10_000), 'ü'.repeat(200)])
        expect((await tryOnce(email, password, newAddress())).status).toBe(400)
    })
  })
})
