import { expect, it } from 'vitest'
import { noticeMail } from './notice-mail.ts'

const notice = {
  id: '01',
  title: 'An OpenRouter key is low on credit',
  message: 'Key sk-or-v1-…a1b2 has $1.20 left.',
  path: 'settings/billing',
  workspaceName: 'Acme',
  workspaceSlug: 'acme',
}

it('says what happened, where, and where to look', () => {
  const { subject, text } = noticeMail(notice, 'https://ai.example.com')
  expect(subject).toBe('Keymargin: An OpenRouter key is low on credit')
  expect(text).toContain('Key sk-or-v1-…a1b2 has $1.20 left.')
  expect(text).toContain('Workspace: Acme')
  expect(text).toContain('https://ai.example.com/w/acme/settings/billing')
})

it('leads to the notices where it is about no page', () => {
  expect(noticeMail({ ...notice, path: null }, 'https://ai.example.com').text).toContain(
    'Look at it: https://ai.example.com/w/acme/notices',
  )
})

it('holds no line break that somebody put into a name or a title: no header can be added', () => {
  const evil = 'x\r\nBcc: everybody@example.com\u2028y\n'
  const { subject, text } = noticeMail({ ...notice, title: evil, workspaceName: evil, workspaceSlug: 'a/../b' }, '')
  expect(subject).toBe('Keymargin: x Bcc: everybody@example.com y')
  expect(text).toContain('Workspace: x Bcc: everybody@example.com y\n')
  expect(text).not.toContain('\r')
  expect(text).toContain('/w/a%2F..%2Fb/settings/billing')
})
