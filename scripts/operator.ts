import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { systemClock } from '#app/platform/clock.ts'
import { newId } from '#app/platform/ids.ts'

/** Who acts where no person signed in: whoever can read the installation's settings may do what an operator may. */
export const commandLineOperator = (): OperatorCtx => ({
  actor: { kind: 'operator', id: 'command line' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: systemClock,
  requestId: newId(),
})
