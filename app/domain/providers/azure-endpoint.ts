/** Hosts that belong to one customer's Azure resource. Nobody else's, and no other name, ever gets a key (security §3.7). */
const resourceHost =
  /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.(?:openai\.azure\.com|cognitiveservices\.azure\.com|services\.ai\.azure\.com)$/

export type AzureEndpoint = { ok: true; origin: string } | { ok: false; message: string }

const refuse = (message: string): AzureEndpoint => ({ ok: false, message })
const form = 'https://<resource>.openai.azure.com'

/**
 * Checks the endpoint of an Azure resource. The host is judged as the URL parser that will be connected with reads it, so
 * numbers in other bases, full-width digits, backslashes and names before an `@` are all seen as what they become
 * (security §4c, items 64-92). The message never repeats the endpoint.
 */
export function checkAzureEndpoint(text: string): AzureEndpoint {
  if (text.length > 300) return refuse('The endpoint is too long')
  // The parser drops line breaks and turns backslashes and look-alikes into something else: none of them is innocent here.
  if (!/^[\x21-\x5b\x5d-\x7e]+$/.test(text)) return refuse('The endpoint contains characters that no address has')
  const url = URL.parse(text)
  if (!url) return refuse(`The endpoint must be a full address, such as ${form}`)
  if (url.protocol !== 'https:') return refuse('The endpoint must start with https://')
  if (url.username !== '' || url.password !== '' || text.includes('@'))
    return refuse('The endpoint must not contain a user name or an @')
  if (url.port !== '') return refuse('The endpoint must not name a port')
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text))
    return refuse('The endpoint must end after the host: leave out the query')
  if (!resourceHost.test(url.hostname) || url.hostname.startsWith('xn--'))
    return refuse(
      `The endpoint must be an Azure resource: ${form}, .cognitiveservices.azure.com or .services.ai.azure.com`,
    )
  if (url.pathname !== '/' || /\.\.|%2e/i.test(text.slice(8)))
    return refuse('The endpoint must end after the host: leave out the path')
  return { ok: true, origin: url.origin }
}
