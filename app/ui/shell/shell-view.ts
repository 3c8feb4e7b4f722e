import { type AppAbility, allows, type Permission, type Role, roleNames } from '#app/domain/permissions/permissions.ts'
import type { NavSection, ShellView, SwitcherChoice } from './shell.tsx'

interface Choice {
  slug: string
  name: string
  plan: string
  role: string
}

const settings: [path: string, label: string, permission: Permission][] = [
  ['billing', 'Billing', 'read:ProviderKey'],
  ['credits', 'Credits', 'read:Workspace'],
  ['budgets', 'Budgets', 'read:Workspace'],
  ['pricing', 'Pricing', 'read:InferenceCall'],
  ['tokens', 'Gateway tokens', 'read:GatewayToken'],
  ['members', 'Members', 'read:Member'],
  ['audit', 'Audit trail', 'read:AuditEvent'],
]

const nameOfRole = (role: string): string => roleNames[role as Role] ?? role

function switcher(choices: Choice[], isOperator: boolean, currentSlug: string | null): SwitcherChoice[] {
  const rows = choices.map((choice) => ({
    to: `/w/${choice.slug}/analytics`,
    name: choice.name,
    note: `${choice.plan}, ${nameOfRole(choice.role)}`,
    current: choice.slug === currentSlug,
  }))
  const console = { to: '/operator', name: 'Operator console', note: 'All workspaces', current: currentSlug === null }
  return isOperator ? [...rows, console] : rows
}

interface WorkspaceShellInput {
  person: { name: string; isOperator: boolean }
  role: Role | null
  ability: AppAbility
  workspace: { id: string; slug: string; name: string; planName: string }
  choices: Choice[]
  openNotices: number
  /** Its plan draws on credits, or it has been granted some. */
  hasCredits: boolean
}

/** The frame of a workspace's pages: only what the person may open is in the navigation. */
export function workspaceShell(input: WorkspaceShellInput): ShellView {
  const { person, role, ability, workspace, choices, openNotices, hasCredits } = input
  const root = `/w/${workspace.slug}`
  const open = settings.filter(
    ([path, , permission]) =>
      allows(ability, permission, { workspaceId: workspace.id }) && (path !== 'credits' || hasCredits),
  )
  const nav: NavSection[] = [
    { title: null, links: [{ to: `${root}/analytics`, label: 'LLM analytics', also: `${root}/calls/` }] },
    { title: 'Settings', links: open.map(([path, label]) => ({ to: `${root}/settings/${path}`, label })) },
  ]
  return {
    here: workspace.name,
    badge: `${workspace.planName} plan`,
    choices: switcher(choices, person.isOperator, workspace.slug),
    nav,
    bell: { to: `${root}/notices`, count: openNotices },
    person: { name: person.name, role: role ? nameOfRole(role) : '' },
  }
}

export function operatorShell(person: { name: string }, choices: Choice[]): ShellView {
  return {
    here: 'Operator console',
    badge: null,
    bell: null,
    choices: switcher(choices, true, null),
    nav: [
      {
        title: null,
        links: [
          { to: '/operator', label: 'Invoice runs', end: true, also: '/operator/invoices/' },
          { to: '/operator/reconciliation', label: 'Reconciliation' },
          { to: '/operator/jobs', label: 'Jobs and alerts' },
          { to: '/operator/catalogue', label: 'Catalogue' },
          { to: '/operator/price-book', label: 'Price book' },
          { to: '/operator/prices', label: 'Prices' },
          { to: '/operator/credits', label: 'Credits' },
        ],
      },
    ],
    person: { name: person.name, role: 'Operator' },
  }
}
