import { betterAuth } from 'better-auth'
import { prismaAdapter } from 'better-auth/adapters/prisma'
import { identityPrisma } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { processSecret } from '#app/platform/process-secrets.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'

/** A session ends after 8 hours without use, and after 7 days in any case (security §3.5). */
const SESSION_IDLE_S = 8 * 3600
export const SESSION_ABSOLUTE_MS = 7 * 24 * 3600 * 1000

/** The `__Host-` prefix makes the browser insist on Secure, Path=/ and no Domain; it needs https. */
export const sessionCookieName = (): string => (env().production ? '__Host-km_session' : 'km_session')

function makeAuth() {
  return betterAuth({
    baseURL: env().appOrigin,
    basePath: '/identity-is-not-mounted',
    secret: processSecret('session_secret').toString('base64url'),
    database: prismaAdapter(identityPrisma(), { provider: 'postgresql' }),
    emailAndPassword: { enabled: true, disableSignUp: true, minPasswordLength: 12, maxPasswordLength: 200 },
    session: { expiresIn: SESSION_IDLE_S, updateAge: 15 * 60, cookieCache: { enabled: false } },
    telemetry: { enabled: false },
    logger: { disabled: true },
    rateLimit: { enabled: false }, // the sign-in action limits by account and address itself
    advanced: {
      useSecureCookies: false, // or the library would prefix the name on its own
      cookies: { session_token: { name: sessionCookieName(), attributes: {} } },
      defaultCookieAttributes: { httpOnly: true, sameSite: 'lax', secure: env().production, path: '/' },
    },
  })
}

/** Who are you: better-auth over our own tables. What may you do is the domain's (permissions/). */
export const auth = (): ReturnType<typeof makeAuth> => singleton('auth', makeAuth)
