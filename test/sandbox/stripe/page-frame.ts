/** The look of the sandbox's hosted pages. */
const STYLE = `body{font:16px/1.5 system-ui;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1a1f36}table{width:100%;border-collapse:collapse}
td,th{padding:.5rem 0;border-bottom:1px solid #e3e8ee;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}
.tag{background:#e3e8ee;border-radius:4px;padding:.1rem .5rem}.bad{color:#b3093c}button{display:block;margin:.5rem 0;padding:.5rem 1rem;font:inherit}`

/** @param content trusted markup: whatever came from elsewhere is escaped by the caller */
export const hostedPage = (title: string, content: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>${escapeHtml(title)}</title>
<style>${STYLE}</style><p class="tag">Sandbox: no money moves here</p><h1>${escapeHtml(title)}</h1>${content}</html>`

export function money(minor: number, currency: string): string {
  const digits = currency === 'jpy' ? 0 : 2
  const text = String(Math.abs(minor)).padStart(digits + 1, '0')
  const split = text.length - digits
  const amount = digits ? `${text.slice(0, split)}.${text.slice(split)}` : text
  return `${minor < 0 ? '−' : ''}${amount} ${currency.toUpperCase()}`
}

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
}
