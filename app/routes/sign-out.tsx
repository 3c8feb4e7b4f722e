import { redirect } from '@remix-run/node'
import { z } from 'zod'
import { intent, publicLoader, signedInAction } from '#app/http/route.server.ts'
import { signOut } from '#app/http/sign-in.server.ts'

export const loader = publicLoader(async () => redirect('/'))

export const action = signedInAction({
  'sign-out': intent({
    demand: 'signed-in',
    schema: z.strictObject({}),
    run: async (_, __, { request }) => redirect('/sign-in', { headers: await signOut(request) }),
  }),
})
