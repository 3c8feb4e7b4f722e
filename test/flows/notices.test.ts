import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { mailNotices } from '#app/domain/notifications/mail-notices.server.ts'
import { raiseNotice } from '#app/domain/notifications/notices.server.ts'
import { type Role, roles } from '#app/domain/permissions/permissions.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace, type TestWorkspace } from '#test/factories.ts'
import { until } from '#test/gateway.ts'
import { type MailSandbox, startMailSandbox } from '#test/sandbox/mail/server.ts'
import { makePerson, personPassword, start, useWeb, Visitor } from '#test/web.ts'

describe('notices', () => {
  const db = useDatabase()
  let mail: MailSandbox
  const web = useWeb(db, async () => {
    mail = await startMailSandbox()
    db.configure({ SMTP_URL: mail.smtpUrl, MAIL_FROM: 'Keymargin <keymargin@example.com>' })
    return {}
  })
  afterAll(() => mail.close())
  beforeEach(() => db.owner.query('DELETE FROM notices'))

  const raise = (workspaceId: string, more: { title?: string; reference?: string; quietMs?: number; at?: Date } = {}) =>
    inTenant({ workspaceId }, (tx) =>
      raiseNotice(tx, {
        workspaceId,
        kind: 'low_balance',
        reference: 'key-1',
        title: 'A key is low on credit at OpenRouter',
        message: 'OpenRouter key sk-or-v1-…a1b2 has $1.20 left of its limit.',
        path: 'settings/billing',
        at: new Date(),
        ...more,
      }),
    )
  const rowsOf = async (workspaceId: string) =>
    (await db.owner.query('SELECT * FROM notices WHERE workspace_id = $1 ORDER BY raised_at, id', [workspaceId])).rows
  const mailsAbout = (text: string) => mail.mails().filter((one) => one.text.includes(text))
  const openAlert = async () =>
    (await db.owner.query("SELECT message FROM alerts WHERE kind = 'mail_failed' AND resolved_at IS NULL")).rows[0]

  async function addressOf(userId: string): Promise<string> {
    return (await db.owner.query('SELECT email FROM users WHERE id = $1', [userId])).rows[0].email
  }

  async function makePeople(workspaceId: string): Promise<Record<Role, string>> {
    const made = {} as Record<Role, string>
    for (const role of roles) made[role] = await addressOf((await makeMember(workspaceId, role)).actor.id)
    return made
  }

  it('are raised once while one stands, and not again within their quiet time', async () => {
    const { id } = await makeWorkspace()
    expect([await raise(id), await raise(id), await raise(id, { reference: 'key-2' })]).toEqual([true, false, true])
    await db.owner.query('UPDATE notices SET dismissed_at = now()')
    const inAnHour = new Date(Date.now() + 3_600_001)
    expect(await raise(id, { quietMs: 3_600_000 })).toBe(false)
    expect(await raise(id, { quietMs: 3_600_000, at: inAnHour })).toBe(true)
    expect(await raise(id, { reference: 'key-2' })).toBe(true)
    expect(await rowsOf(id)).toHaveLength(4)
  })

  describe('by mail', () => {
    it('go to the owners and billing admins of the workspace, once, with a link and without a secret', async () => {
      const workspace = await makeWorkspace({ name: 'Pear & Sons' })
      const people = await makePeople(workspace.id)
      await makePeople((await makeWorkspace()).id)
      await raise(workspace.id)
      expect(await mailNotices(new Date())).toBe(1)
      expect(await mailNotices(new Date())).toBe(0)
      const [sent, ...more] = mailsAbout('Pear & Sons')
      expect(more).toEqual([])
      expect(sent?.to.sort()).toEqual([people.owner, people.billing_admin].sort())
      expect(sent?.from).toBe('keymargin@example.com')
      expect(sent?.subject).toBe('Keymargin: A key is low on credit at OpenRouter')
      expect(sent?.text).toContain('OpenRouter key sk-or-v1-…a1b2 has $1.20 left of its limit.')
      expect(sent?.text).toMatch(
        new RegExp(`Look at it: http://127\\.0\\.0\\.1:\\d+/w/${workspace.slug}/settings/billing\n`),
      )
      expect(sent?.headers['auto-submitted']).toBe('auto-generated')
      const [row] = await rowsOf(workspace.id)
      expect(row.mailed_at).toBeInstanceOf(Date)
      expect(sent?.headers['message-id']).toBe(`<notice-${row.id}@127.0.0.1>`)
    })

    it('are sent once each by any number of workers at once', async () => {
      const { id } = await makeWorkspace({ name: 'Many workers' })
      await makePeople(id)
      const wanted = Array.from({ length: 12 }, (_, n) => `Notice ${n} of many`)
      for (const title of wanted) await raise(id, { title, reference: title })
      const held = mail.hold()
      const sending = Promise.all(Array.from({ length: 3 }, () => mailNotices(new Date())))
      await until(async () => mailsAbout('Many workers').length === 3, 'a mail under way by each of them')
      held.release()
      expect((await sending).reduce((sum, one) => sum + one)).toBe(12)
      const subjects = mailsAbout('Many workers').map((one) => one.subject)
      expect(subjects.sort()).toEqual(wanted.map((title) => `Keymargin: ${title}`).sort())
      expect((await rowsOf(id)).map((row) => row.mail_attempts)).toEqual(wanted.map(() => 1))
    })

    it('come back when a worker was killed before it could write that one was sent: at least once', async () => {
      const { id } = await makeWorkspace({ name: 'Killed worker' })
      await makePeople(id)
      await raise(id)
      const held = mail.hold()
      const worker = await start('workers/index.ts', db.childEnv())
      await inSystem((tx) => enqueueJob(tx, 'mail-notices', {}, { maxAttempts: 1 }))
      await until(async () => mailsAbout('Killed worker').length === 1, 'the mail')
      worker.child.kill('SIGKILL')
      await worker.exited
      held.release()
      expect(await mailNotices(new Date()), 'the dead worker’s lease stands').toBe(0)
      await db.owner.query("UPDATE notices SET mail_after = mail_after - interval '2 minutes'")
      expect(await mailNotices(new Date())).toBe(1)
      const [first, second] = mailsAbout('Killed worker')
      expect(second?.headers['message-id']).toBe(first?.headers['message-id'])
      expect(await rowsOf(id)).toMatchObject([{ mail_attempts: 2, mailed_at: expect.any(Date) }])
    })

    it('that the server refuses are tried again, later and later; the operators hear of it until it works', async () => {
      const { id } = await makeWorkspace({ name: 'Refused' })
      await makePeople(id)
      await raise(id)
      const waitMinutes = async () => {
        const { rows } = await db.owner.query(
          'SELECT round(extract(epoch FROM mail_after - now()) / 60)::int AS minutes FROM notices WHERE workspace_id = $1',
          [id],
        )
        await db.owner.query('UPDATE notices SET mail_after = now()')
        return rows[0].minutes
      }
      mail.refuse(451, 3)
      for (const minutes of [2, 4, 8]) {
        await expect(mailNotices(new Date())).rejects.toThrow('1 of 1 notices could not be mailed')
        expect(await waitMinutes()).toBe(minutes)
      }
      expect((await openAlert()).message).toContain('Notices cannot be mailed')
      expect(await mailNotices(new Date())).toBe(1)
      expect(await openAlert()).toBeUndefined()
      expect(mailsAbout('Refused')).toHaveLength(1)
    })

    it('are not sent to nobody, nor when they are over, nor of yesterday', async () => {
      const [alone, over, old] = [await makeWorkspace(), await makeWorkspace(), await makeWorkspace()]
      for (const { id } of [over, old]) await makePeople(id)
      for (const { id } of [alone, over, old]) await raise(id)
      await db.owner.query('UPDATE notices SET dismissed_at = now() WHERE workspace_id = $1', [over.id])
      await db.owner.query("UPDATE notices SET raised_at = now() - interval '25 hours' WHERE workspace_id = $1", [
        old.id,
      ])
      const before = mail.mails().length
      await mailNotices(new Date())
      expect(mail.mails().length).toBe(before)
      const { rows } = await db.owner.query('SELECT mailed_at FROM notices')
      expect(rows).toEqual([{ mailed_at: null }, { mailed_at: null }, { mailed_at: null }])
    })

    it('hold no header that a customer’s words would add', async () => {
      const { id } = await makeWorkspace({ name: 'Evil\r\nBcc: everybody@example.com\r\n\r\nnew body' })
      const people = await makePeople(id)
      await raise(id, { title: 'Title\r\nBcc: everybody@example.com' })
      await mailNotices(new Date())
      const [sent] = mailsAbout('Evil')
      expect(Object.keys(sent?.headers ?? {})).not.toContain('bcc')
      expect(sent?.to.sort()).toEqual([people.owner, people.billing_admin].sort())
      expect(sent?.subject).toBe('Keymargin: Title Bcc: everybody@example.com')
      expect(sent?.text).toContain('Workspace: Evil Bcc: everybody@example.com new body\n')
    })

    it('are left alone where no mail server is set', async () => {
      const { id } = await makeWorkspace()
      await makePeople(id)
      await raise(id)
      db.configure({ SMTP_URL: '', MAIL_FROM: '' })
      try {
        expect(await mailNotices(new Date())).toBe(0)
      } finally {
        db.configure({ SMTP_URL: mail.smtpUrl, MAIL_FROM: 'Keymargin <keymargin@example.com>' })
      }
      expect(await rowsOf(id)).toMatchObject([{ mail_attempts: 0, mailed_at: null }])
    })
  })

  describe('in the console', () => {
    const visitors = new Map<Role, Visitor>()
    let here: TestWorkspace
    let there: TestWorkspace
    const as = (role: Role) => visitors.get(role) as Visitor
    const pageAs = async (role: Role) => (await as(role).ask(`/w/${here.slug}/notices`)).text()
    const dismiss = (role: Role, id: string) =>
      as(role).post(`/w/${here.slug}/notices`, { intent: 'dismiss-notice', id })

    beforeAll(async () => {
      ;[here, there] = [await makeWorkspace(), await makeWorkspace()]
      for (const role of roles) {
        const { userId, email } = await makePerson()
        const data = { workspaceId: here.id, userId, role }
        await inTenant({ workspaceId: here.id }, (tx) => tx.member.create({ data }))
        const visitor = new Visitor(web.origin)
        await visitor.signIn(email, personPassword)
        visitors.set(role, visitor)
      }
    })

    it('are read by every member, counted at the bell of every page, and only of their own workspace', async () => {
      await raise(there.id, { title: 'Not for you' })
      for (const role of roles) expect(await pageAs(role)).toContain('Nothing needs your attention')
      await raise(here.id)
      await raise(here.id, { reference: 'key-2', title: 'Another one' })
      for (const role of roles) {
        const html = await pageAs(role)
        for (const text of ['A key is low on credit at OpenRouter', 'Another one']) expect(html).toContain(text)
        expect(html).not.toContain('Not for you')
        expect(html.includes('Dismiss:'), role).toBe(['owner', 'billing_admin'].includes(role))
        expect(await (await as(role).ask(`/w/${here.slug}/analytics`)).text()).toContain('aria-label="2 open notices"')
      }
    })

    it('are dismissed by owners and billing admins, for all; others and other workspaces cannot', async () => {
      await raise(here.id)
      await raise(there.id)
      const [mine] = await rowsOf(here.id)
      const [theirs] = await rowsOf(there.id)
      for (const role of ['member', 'developer'] as const) expect((await dismiss(role, mine.id)).status).toBe(403)
      for (const id of [theirs.id, newId(), 'x', '']) expect((await dismiss('owner', id)).status).toBe(404)
      expect([await rowsOf(here.id), await rowsOf(there.id)].flat()).toMatchObject([
        { dismissed_at: null },
        { dismissed_at: null },
      ])
      expect((await dismiss('billing_admin', mine.id)).status).toBe(200)
      const [gone] = await rowsOf(here.id)
      expect((await dismiss('owner', mine.id)).status).toBe(200)
      expect(await rowsOf(here.id)).toEqual([gone])
      const html = await pageAs('member')
      expect(html).toContain('Nothing needs your attention')
      expect(html).toMatch(/Dismissed .* by Signer \d+/)
    })
  })
})
