import { AppError } from '#app/platform/errors.ts'

/** More fields than any form of ours has. */
const FIELDS_MAX = 40

/** A field's name as an answer may show it: what no form of ours could have named is not sent back. */
const shownName = (name: string): string => (/^[A-Za-z]{1,30}$/.test(name) ? name : 'form')

/**
 * The request's form as plain text fields. Browsers send what a form has; a program may send anything.
 * @throws AppError bad_request on another content type, a file, a repeated or nested field, or too many fields
 */
export async function readForm(request: Request): Promise<Record<string, string>> {
  const type = request.headers.get('content-type') ?? ''
  if (!/^(application\/x-www-form-urlencoded|multipart\/form-data)\b/.test(type)) {
    throw new AppError('bad_request', 'unsupported_content_type', 'Send the form as application/x-www-form-urlencoded.')
  }
  let form: FormData
  try {
    form = await request.formData()
  } catch {
    throw new AppError('bad_request', 'unreadable_form', 'The form could not be read. Send it again.')
  }
  const fields: Record<string, string> = Object.create(null)
  let count = 0
  for (const [name, value] of form) {
    if (++count > FIELDS_MAX)
      throw new AppError('bad_request', 'too_many_fields', `The form has more than ${FIELDS_MAX} fields.`)
    if (typeof value !== 'string')
      throw new AppError('bad_request', 'file_not_expected', 'Send text, not a file.', { field: shownName(name) })
    if (name in fields)
      throw new AppError('bad_request', 'repeated_field', 'Each field may be sent once.', { field: shownName(name) })
    fields[name] = value
  }
  return fields
}
