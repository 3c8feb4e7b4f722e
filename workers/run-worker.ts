import { EventEmitter } from 'node:events'
import {
  type JobHelpers,
  Logger,
  parseCronItems,
  type Runner,
  run,
  type TaskList,
  type WorkerEvents,
} from 'graphile-worker'
import { type Heartbeat, startHeartbeat } from '#app/domain/jobs/heartbeat.server.ts'
import { type JobName, jobNames, jobSchemas } from '#app/domain/jobs/jobs.ts'
import { unlockDeadWorkers } from '#app/domain/jobs/unlock-dead-workers.server.ts'
import { type Clock, systemClock } from '#app/platform/clock.ts'
import { appPool } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import { scrubSecrets } from '#app/platform/secret-patterns.ts'
import { crontab } from './crontab.ts'
import type { Task } from './task.ts'
import { tasks } from './tasks/index.ts'

const CONCURRENCY = 4
const POLL_MS = 2_000

/** What is kept of a failure in the queue's tables, for the operator: a code and a scrubbed text, no stack, no payload. */
function publicFailure(error: unknown): Error {
  const { code, message, internal } = error as { code?: string; message?: string; internal?: string }
  const text = [code, message, internal].filter(Boolean).join(': ').replaceAll(/\s+/g, ' ') // lists show the first line
  const kept = new Error(scrubSecrets(text).slice(0, 500))
  kept.stack = kept.message
  return kept
}

/** The queue's task list: each payload is parsed by its schema before the task sees it. */
export function taskList(now: Clock): TaskList {
  const wrap =
    <N extends JobName>(name: N) =>
    async (payload: unknown, helpers: JobHelpers) => {
      const started = performance.now()
      try {
        await (tasks[name] as Task<JobName>)(jobSchemas[name].parse(payload) as never, { now })
        log.info({ job: name, jobId: helpers.job.id, ms: Math.round(performance.now() - started) }, 'job done')
      } catch (error) {
        log.error(
          { job: name, jobId: helpers.job.id, attempt: helpers.job.attempts, reason: (error as Error).message },
          'job failed',
        )
        throw publicFailure(error)
      }
    }
  return Object.fromEntries(jobNames.map((name) => [name, wrap(name)]))
}

/** Each queue worker of this process beats under its own id, the one its jobs are locked by. */
function beatForWorkers(events: WorkerEvents, heartbeat: Heartbeat): void {
  const noted = (work: Promise<void>) =>
    work.catch((error: Error) => log.warn({ reason: error.message }, 'heartbeat not written'))
  events.on('worker:create', ({ worker }) => void noted(heartbeat.add(worker.workerId)))
}

const quiet = new Logger(() => (level, message) => {
  if (level === 'error') log.error({ from: 'queue' }, scrubSecrets(message))
})

export interface RunningWorker {
  stop(): Promise<void>
}

/** Starts working on the queue. `stop` lets running jobs end, then returns. */
export async function runWorker(now: Clock = systemClock): Promise<RunningWorker> {
  const heartbeat = await startHeartbeat('worker')
  await unlockDeadWorkers()
  const events = new EventEmitter() as unknown as WorkerEvents
  beatForWorkers(events, heartbeat)
  const runner: Runner = await run({
    pgPool: appPool(),
    taskList: taskList(now),
    parsedCronItems: parseCronItems(crontab),
    concurrency: CONCURRENCY,
    pollInterval: POLL_MS,
    noHandleSignals: true,
    logger: quiet,
    events,
  })
  return {
    async stop() {
      await runner.stop()
      await heartbeat.stop()
    },
  }
}
