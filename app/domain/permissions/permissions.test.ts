import { describe, expect, it } from 'vitest'
import { abilityFor, allows, authorize, type Permission, permissionsByRole, roles } from './permissions.ts'

const home = { workspaceId: 'w1' }
const ability = (role: (typeof roles)[number] | null, isOperator = false) =>
  abilityFor({ role, workspaceId: 'w1', isOperator })

describe('who may do what', () => {
  it('gives Manage billing to owner and billing admin, to nobody else', () => {
    expect(roles.filter((role) => allows(ability(role), 'manage:Billing', home))).toEqual(['owner', 'billing_admin'])
  })
  it('gives gateway tokens to owner and developer', () => {
    expect(roles.filter((role) => allows(ability(role), 'manage:GatewayToken', home))).toEqual(['owner', 'developer'])
  })
  it('lets every member read calls and whether a key is configured', () => {
    for (const role of roles)
      expect(allows(ability(role), 'read:ProviderKey', home) && allows(ability(role), 'read:InferenceCall', home)).toBe(
        true,
      )
  })
  it('holds in the own workspace only, for every role and permission', () => {
    for (const role of roles)
      for (const permission of permissionsByRole[role])
        expect(allows(ability(role), permission, { workspaceId: 'w2' })).toBe(false)
  })
  it('gives an operator the platform and no workspace', () => {
    const operator = abilityFor({ role: null, workspaceId: null, isOperator: true })
    expect(allows(operator, 'operate:Platform', home)).toBe(true)
    const inside: Permission[] = ['read:InferenceCall', 'manage:Billing', 'read:Invoice']
    for (const permission of inside) expect(allows(operator, permission, home)).toBe(false)
    expect(allows(ability('owner'), 'operate:Platform', home)).toBe(false)
  })
  it('fails closed on a row without a workspace', () => {
    expect(() => authorize({ ability: ability('owner') }, 'manage:Billing', { workspaceId: '' })).toThrow(
      /needs the row/,
    )
  })
})
