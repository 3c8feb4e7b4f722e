export interface MailedNotice {
  id: string
  title: string
  message: string
  path: string | null
  workspaceName: string
  workspaceSlug: string
}

export interface MailText {
  subject: string
  text: string
}

/** One line of plain text, whatever it was: a line break in a subject would begin another header. */
const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()

/**
 * What a notice's mail says. The subject is the notice's title alone, which is ours; the name that a customer gave the
 * workspace stands in the body, as one line.
 * @param origin of the console, no trailing slash
 */
export function noticeMail(notice: MailedNotice, origin: string): MailText {
  const root = `${origin}/w/${encodeURIComponent(notice.workspaceSlug)}`
  return {
    subject: `Keymargin: ${oneLine(notice.title)}`,
    text: [
      oneLine(notice.message),
      `Workspace: ${oneLine(notice.workspaceName)}`,
      `Look at it: ${root}/${notice.path ?? 'notices'}`,
      `You get this mail as an owner or a billing admin of the workspace. All notices: ${root}/notices`,
      '',
    ].join('\n\n'),
  }
}
