import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { allows, type Role, roleNames, roles } from '#app/domain/permissions/permissions.ts'
import { changeMemberRole } from '#app/domain/workspaces/change-member-role.server.ts'
import { listMembers } from '#app/domain/workspaces/queries.server.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import { type MemberAnswer, MembersPage, type MembersView } from '#app/ui/members/members-page.tsx'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Members · Keymargin' }]

const may: Record<Role, string> = {
  owner: 'everything below, give and take roles, and read the audit trail.',
  billing_admin: 'manage AI inference keys, budgets, credits and payment; see usage in money and invoices.',
  developer: 'create and revoke gateway tokens.',
  member: 'see every call and whether a key is configured; change nothing.',
}

export const loader = workspaceLoader('read:Member', async ({ ctx }) => ({
  canManage: allows(ctx.ability, 'manage:Member', { workspaceId: ctx.workspaceId }),
  roles: roles.map((value) => ({ value, label: roleNames[value], may: may[value] })),
  members: (await listMembers(ctx)).map((member) => ({
    ...member,
    roleName: roleNames[member.role],
    isMe: member.userId === ctx.actor.id,
  })),
}))

export const action = workspaceAction({
  'change-role': intent({
    demand: 'manage:Member',
    schema: z.strictObject({ userId: z.string().min(1).max(100), role: z.enum(roles) }),
    run: async (ctx, input) => {
      await changeMemberRole(ctx, input)
      return { message: `Role changed to ${roleNames[input.role]}.` }
    },
  }),
})

export default function Members() {
  return <MembersPage view={useLoaderData<MembersView>()} answer={useActionData<MemberAnswer>()} />
}
