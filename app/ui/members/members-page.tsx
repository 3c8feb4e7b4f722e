import { Button, Group, NativeSelect, Text } from '@mantine/core'
import { Form, useNavigation } from '@remix-run/react'
import { type Answer, AnswerNotice } from '#app/ui/answer-notice.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { PageHeading, Panel } from '#app/ui/page.tsx'
import { utcDay } from '#app/ui/time.ts'

export interface MemberView {
  userId: string
  name: string
  email: string
  role: string
  roleName: string
  since: string
  isMe: boolean
}

export interface MembersView {
  canManage: boolean
  roles: { value: string; label: string; may: string }[]
  members: MemberView[]
}

export type MemberAnswer = Answer<{ message: string }>

function RoleForm({ member, roles }: { member: MemberView; roles: MembersView['roles'] }) {
  const busy = useNavigation().formData?.get('userId') === member.userId
  return (
    <Form method="post" preventScrollReset key={member.role}>
      <input type="hidden" name="intent" value="change-role" />
      <input type="hidden" name="userId" value={member.userId} />
      <Group gap="xs" wrap="nowrap">
        <NativeSelect
          name="role"
          defaultValue={member.role}
          data={roles.map(({ value, label }) => ({ value, label }))}
          aria-label={`Role of ${member.name}`}
          size="xs"
        />
        <Button type="submit" variant="default" size="xs" loading={busy} aria-label={`Change role of ${member.name}`}>
          Change
        </Button>
      </Group>
    </Form>
  )
}

export function MembersPage({ view, answer }: { view: MembersView; answer: MemberAnswer | undefined }) {
  return (
    <>
      <PageHeading title="Members">
        {view.canManage
          ? 'You may give and take roles. There is always at least one owner.'
          : 'Only an owner can change roles.'}{' '}
        People are added by your operator.
      </PageHeading>
      <AnswerNotice answer={answer} success={answer?.ok ? answer.message : null} />
      <Panel>
        <DataTable
          caption="Members by name"
          columns={[{ label: 'Name' }, { label: 'E-mail' }, { label: 'Member since' }, { label: 'Role' }]}
          rows={view.members.map((member) => ({
            key: member.userId,
            cells: [
              member.isMe ? `${member.name} (you)` : member.name,
              member.email,
              utcDay(member.since),
              view.canManage ? <RoleForm key="role" member={member} roles={view.roles} /> : member.roleName,
            ],
          }))}
        />
      </Panel>
      <Panel title="What each role may do">
        {view.roles.map((role) => (
          <Text key={role.value} size="sm" mb={6}>
            <b>{role.label}:</b> {role.may}
          </Text>
        ))}
      </Panel>
    </>
  )
}
