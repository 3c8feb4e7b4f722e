import { AppError } from '#app/platform/errors.ts'

/** The workspace's key cannot be opened. The call fails visibly: the platform key is never taken instead. */
export const keyUnavailable = (internal: string, cause?: unknown): AppError =>
  new AppError(
    'unavailable',
    'key_unavailable',
    'The saved provider key of this workspace cannot be used right now. Try again, or replace the key in Settings → Billing.',
    {
      internal,
      cause,
    },
  )

export const planWithoutKeys = (): AppError =>
  new AppError('forbidden', 'plan_required', 'Saving a provider key needs the Enterprise plan.')

export const subscriptionPaused = (): AppError =>
  new AppError(
    'conflict',
    'subscription_paused',
    'The subscription is paused, and provider keys with it. Resume the subscription, then save the key.',
  )
