import { type ActionFunctionArgs, json, type LoaderFunctionArgs } from '@remix-run/node'
import type { z } from 'zod'
import { authorize, type Ctx, type OperatorCtx, type Permission } from '#app/domain/permissions/permissions.ts'
import { AppError } from '#app/platform/errors.ts'
import { readForm } from './form.server.ts'
import { doorway } from './load-context.ts'
import { actionError, errorResponse, noStore } from './respond.server.ts'
import {
  type Doorstep,
  enterOperatorConsole,
  enterWorkspace,
  requireSignedIn,
  type SignedIn,
} from './session.server.ts'

/**
 * Every loader and action is made here and carries what it demands: `public`, `signed-in`, or a permission. A route module
 * that exports a bare loader or action fails the tests.
 */
export type Demand = Permission | 'public' | 'signed-in'

type Handler = (args: LoaderFunctionArgs) => Promise<Response>
export type GuardedLoader = Handler & { demand: Demand }
export type GuardedAction = Handler & { demands: Record<string, Demand> }

const isResponse = (value: unknown): value is Response => value instanceof Response

/** Page data is JSON and never cached; a handler may answer with a Response of its own (CSV, redirect). */
const respond = (value: unknown): Response => (isResponse(value) ? value : json(value, { headers: noStore }))

function guardedLoader(
  demand: Demand,
  run: (args: LoaderFunctionArgs, requestId: string) => Promise<unknown>,
): GuardedLoader {
  const handler: Handler = async (args) => {
    const { requestId } = doorway(args.context)
    try {
      return respond(await run(args, requestId))
    } catch (error) {
      throw isResponse(error) ? error : errorResponse(error, requestId)
    }
  }
  return Object.assign(handler, { demand })
}

export const publicLoader = (run: (args: LoaderFunctionArgs) => Promise<unknown>): GuardedLoader =>
  guardedLoader('public', (args) => run(args))

export const signedInLoader = (run: (person: SignedIn, args: LoaderFunctionArgs) => Promise<unknown>): GuardedLoader =>
  guardedLoader('signed-in', async (args) => run(await requireSignedIn(args.request), args))

/** A page of the workspace named by the URL's `workspace` parameter. */
export function workspaceLoader(
  permission: Permission,
  run: (here: Doorstep, args: LoaderFunctionArgs) => Promise<unknown>,
): GuardedLoader {
  return guardedLoader(permission, async (args, requestId) => {
    const here = await enterWorkspace(args.request, args.params.workspace, requestId)
    authorize(here.ctx, permission, { workspaceId: here.ctx.workspaceId })
    return run(here, args)
  })
}

export const operatorLoader = (run: (ctx: OperatorCtx, args: LoaderFunctionArgs) => Promise<unknown>): GuardedLoader =>
  guardedLoader('operate:Platform', async (args, requestId) =>
    run((await enterOperatorConsole(args.request, requestId)).ctx, args),
  )

interface Intent<C, S extends z.ZodType> {
  demand: Demand
  /** The form's fields, `intent` apart. Unknown fields are refused: use z.strictObject. */
  schema: S
  run(ctx: C, input: z.output<S>, args: ActionFunctionArgs): Promise<object | Response>
}

/** One intent of a form. Infers the input of `run` from the schema. */
export const intent = <C, S extends z.ZodType>(one: Intent<C, S>): Intent<C, S> => one

// biome-ignore lint/suspicious/noExplicitAny: an action holds intents of different schemas; `intent()` typed each of them
type Intents<C> = Record<string, Intent<C, any>>

/** Refused outright, with the status the page's error boundary shows; other failures are answered in place. */
const thrownKinds = new Set(['unauthenticated', 'forbidden', 'not_found'])

function guardedAction<C>(
  intents: Intents<C>,
  enter: (args: ActionFunctionArgs, requestId: string, demand: Demand) => Promise<C>,
): GuardedAction {
  const handler: Handler = async (args) => {
    const { requestId } = doorway(args.context)
    let name = ''
    try {
      const { intent: named = '', ...fields } = await readForm(args.request)
      const chosen = Object.hasOwn(intents, named) ? intents[named] : undefined
      if (!chosen)
        throw new AppError(
          'bad_request',
          'unknown_intent',
          'The form does not say what to do. Reload the page and try again.',
          { field: 'intent' },
        )
      name = named
      const ctx = await enter(args, requestId, chosen.demand)
      const answer = await chosen.run(ctx, chosen.schema.parse(fields), args)
      return isResponse(answer) ? answer : respond({ ok: true, intent: named, ...answer })
    } catch (error) {
      if (isResponse(error)) throw error
      if (error instanceof AppError && thrownKinds.has(error.kind)) throw errorResponse(error, requestId)
      return actionError(name, error, requestId)
    }
  }
  return Object.assign(handler, {
    demands: Object.fromEntries(Object.entries(intents).map(([name, one]) => [name, one.demand])),
  })
}

export const publicAction = (intents: Intents<null>): GuardedAction => guardedAction(intents, async () => null)

export const signedInAction = (intents: Intents<SignedIn>): GuardedAction =>
  guardedAction(intents, (args) => requireSignedIn(args.request))

export const workspaceAction = (intents: Intents<Ctx>): GuardedAction =>
  guardedAction(intents, async (args, requestId, demand) => {
    const { ctx } = await enterWorkspace(args.request, args.params.workspace, requestId)
    authorize(ctx, demand as Permission, { workspaceId: ctx.workspaceId })
    return ctx
  })

export const operatorAction = (intents: Intents<OperatorCtx>): GuardedAction =>
  guardedAction(intents, async (args, requestId) => (await enterOperatorConsole(args.request, requestId)).ctx)
