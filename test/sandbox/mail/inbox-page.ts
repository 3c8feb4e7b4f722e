import type { ReceivedMail } from './smtp-conversation.ts'

export interface ReadableMail {
  subject: string
  text: string
  headers: Record<string, string>
}

const decodeQuotedPrintable = (text: string): string =>
  Buffer.from(
    text
      .replaceAll(/=\r\n/g, '')
      .replaceAll(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')

const decodeWords = (text: string): string =>
  text.replaceAll(/=\?utf-8\?([QB])\?([^?]*)\?=\s*/gi, (_, kind: string, value: string) =>
    kind.toUpperCase() === 'B'
      ? Buffer.from(value, 'base64').toString('utf8')
      : decodeQuotedPrintable(value.replaceAll('_', ' ')),
  )

/** A plain-text mail of one part: its headers by lower-case name, unfolded, and its text. */
export function readMail({ raw }: ReceivedMail): ReadableMail {
  const at = raw.indexOf('\r\n\r\n')
  const headers: Record<string, string> = {}
  for (const line of raw
    .slice(0, at)
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .split('\r\n')) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const body = raw.slice(at + 4)
  const encoding = headers['content-transfer-encoding']?.toLowerCase()
  const readers: Record<string, (text: string) => string> = {
    'quoted-printable': decodeQuotedPrintable,
    base64: (text) => Buffer.from(text, 'base64').toString('utf8'),
  }
  const text = (readers[encoding ?? ''] ?? String)(body)
  return { subject: decodeWords(headers.subject ?? ''), text: text.replaceAll('\r\n', '\n'), headers }
}

const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)

const linked = (text: string): string =>
  escapeHtml(text).replaceAll(/https?:\/\/[^\s&]+/g, (url) => `<a href="${url}">${url}</a>`)

/** Everything that arrived, newest first; it looks again every few seconds. */
export const inboxPage = (mails: ReceivedMail[]): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Sandbox inbox</title><link rel="icon" href="data:,">
<style>body{font:16px/1.5 system-ui;max-width:46rem;margin:2rem auto;padding:0 1rem}article{border:1px solid #ccc;border-radius:6px;padding:0 1rem;margin:1rem 0}pre{white-space:pre-wrap;font:inherit}small{color:#555}</style>
</head><body><h1>Sandbox inbox</h1>${mails.length ? '' : '<p>No mail yet.</p>'}${mails
  .toReversed()
  .map((mail) => {
    const { subject, text } = readMail(mail)
    return `<article><h2>${escapeHtml(subject)}</h2><small>to ${escapeHtml(mail.to.join(', '))}, ${mail.at}</small><pre>${linked(text)}</pre></article>`
  })
  .join('')}</body></html>`
