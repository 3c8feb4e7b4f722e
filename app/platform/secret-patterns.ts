/** Shapes of secrets, scrubbed from every log line and from any upstream text before it is shown. */
const patterns = [
  /sk-or-[A-Za-z0-9_-]{6,}/g,
  /sk-[A-Za-z0-9_-]{16,}/g,
  /\b(?:gsk|vck|cpk|fw)_[A-Za-z0-9_-]{12,}/g,
  /\b(?:xai|nvapi)-[A-Za-z0-9_-]{12,}/g,
  /\b(?:AIza|AQ\.)[A-Za-z0-9_-]{16,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{12,}/g,
  /\bkm_(?:live|test)_[0-9A-Za-z]{8,}/g,
  /\b(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z_]{8,}/g,
  /\bwhsec_[0-9A-Za-z+/=_-]{8,}/g,
  /\bBearer\s+[A-Za-z0-9._~+/=-]{8,}/gi,
  // Bounded: of a text that is nothing but beginnings of addresses, each would be read to the end.
  /\b((?:postgres(?:ql)?|smtps?):\/\/[^:/\s]{1,256}:)[^@\s]{1,1024}@/g,
]

export const scrubSecrets = (text: string): string =>
  patterns.reduce(
    (clean, pattern) =>
      clean.replace(pattern, (match, prefix) =>
        typeof prefix === 'string' && /^(?:postgres|smtp)/.test(match) ? `${prefix}[secret]@` : '[secret]',
      ),
    text,
  )
