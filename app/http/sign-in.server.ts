import { APIError } from 'better-auth/api'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { AppError } from '#app/platform/errors.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { auth } from './auth.server.ts'

/**
 * Tries per minute that fail: for one account, and from one address. Those that succeed are given back, so that an office
 * behind one address does not lock itself out by coming to work. Each process counts its own.
 */
const limits = () =>
  singleton('sign-in-limits', () => ({
    account: new RateLimiterMemory({ points: 5, duration: 60 }),
    address: new RateLimiterMemory({ points: 20, duration: 60 }),
  }))

/** @param refused what the limiter says: when the oldest tries are forgotten */
function tooMany(refused: unknown): AppError {
  const retryAfterS = refused instanceof RateLimiterRes ? Math.max(1, Math.ceil(refused.msBeforeNext / 1000)) : 60
  const wait = retryAfterS === 1 ? '1 second' : `${retryAfterS} seconds`
  return new AppError('rate_limited', 'too_many_sign_ins', `Too many tries. Try again in ${wait}.`, { retryAfterS })
}
const wrong = () =>
  new AppError('bad_request', 'wrong_credentials', 'E-mail or password is wrong.', { field: 'password' })

/**
 * Signs in with a password. An unknown account and a wrong password look the same and take the same time.
 * @returns headers with the session cookie
 * @throws AppError bad_request `wrong_credentials`, rate_limited `too_many_sign_ins`
 */
export async function signIn(
  credentials: { email: string; password: string },
  clientAddress: string,
): Promise<Headers> {
  const email = credentials.email.trim().toLowerCase()
  try {
    await limits().address.consume(clientAddress)
    await limits().account.consume(email)
  } catch (refused) {
    throw tooMany(refused)
  }
  try {
    const { headers } = await auth().api.signInEmail({
      body: { email, password: credentials.password },
      returnHeaders: true,
    })
    await Promise.all([limits().account.delete(email), limits().address.reward(clientAddress)])
    return headers
  } catch (error) {
    if (error instanceof APIError) throw wrong()
    throw error
  }
}

/** Ends the session in the database. @returns headers that clear its cookie */
export async function signOut(request: Request): Promise<Headers> {
  const { headers } = await auth().api.signOut({ headers: request.headers, returnHeaders: true })
  return headers
}

const LOCAL_PATH = /^\/(?![/\\])/

/**
 * A path of this site to go to after signing in: never another host (`//evil`, `/\evil`, `javascript:`). Looked at again
 * once the URL parser is done with it: `/..//evil` is a path of ours going in and `//evil` coming out.
 */
export function safeReturn(to: string | null): string {
  if (!to || !LOCAL_PATH.test(to) || !URL.canParse(to, 'http://here')) return '/'
  const url = new URL(to, 'http://here')
  const path = url.pathname + url.search
  return url.origin === 'http://here' && LOCAL_PATH.test(path) ? path : '/'
}
