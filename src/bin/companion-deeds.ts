// What becomes of whom a security event means: a workspace is revoked (fence, sessions, an orderly end), or killed where the event is the
// kill switch of somebody else, and a session of the access broker is closed. Each resolves when the fence was read back, or the session
// is closed; what follows goes on by itself.

import { sessionMeant } from '../agent/session-subjects.js'
import { digestOfText } from '../base/digest.js'
import { lifecycleFault } from '../companion/lifecycle/errors.js'
import { type KillHost, kill } from '../companion/lifecycle/kill.js'
import { type Lifecycle, requestDigest } from '../companion/lifecycle/lifecycle.js'
import { preempts } from '../companion/lifecycle/operations.js'
import { emptyRecord, owedSteps } from '../companion/lifecycle/record.js'
import type { Run } from '../companion/lifecycle/run.js'
import type { EventName } from '../revocation/events.js'

export interface Taking {
  /** A workspace, or the name of a session (agent/session-subjects.ts). */
  readonly name: string
  readonly by: string
  readonly reason: string
  readonly commandId: string
  readonly event?: EventName
}

export interface TakingHost {
  readonly kills: KillHost
  readonly closeSession: (session: { readonly workspace: string; readonly sessionId: string }) => Promise<unknown>
  /** A defect in what goes on behind a fence. */
  readonly failed: (error: unknown) => void
}

/** Throws while it is not done: then the event is not acknowledged, and comes again. */
export async function takeAway(host: TakingHost, taking: Taking): Promise<void> {
  const { name, by, reason, commandId, event } = taking
  const { kills, closeSession, failed } = host
  const session = sessionMeant(name)
  if (session) {
    await closeSession(session)
    return
  }
  const { lifecycle } = kills
  // Whose record is damaged has nothing that could be shut down in order.
  const isKill = event === 'workspace-killed' || lifecycle.host.store.damageOf(name) !== undefined
  await (isKill
    ? killAt(kills, name, by, reason, commandId, failed)
    : revokeAt(lifecycle, name, by, reason, commandId, failed))
}

const requestOf = (commandId: string, workspace: string): string =>
  `${commandId}-${digestOfText(workspace).slice(7, 19)}`

/** The kill switch, with its report: machine and sessions follow the fence at once. Throws WORKSPACE_OWED while that is not there. */
export async function killAt(
  kills: KillHost,
  workspace: string,
  by: string,
  reason: string,
  commandId: string,
  failed: (error: unknown) => void = () => undefined,
): Promise<void> {
  const { lifecycle } = kills
  const requestId = requestOf(commandId, workspace)
  const killing = kill(kills, { requestId, target: { kind: 'workspace', workspace }, by, reason })
  killing.catch(failed)
  // It has begun by now, unless this event was done before.
  const run = lifecycle.underWay(workspace)
  if (run?.change === 'kill') await Promise.race([run.fenced, killing])
  else await killing
  await requireFenced(lifecycle, workspace, run?.change === 'kill' ? run : undefined)
}

/**
 * Resolves when the fence was read back, and throws while it was not: then the event is not acknowledged, and comes again. Sessions and
 * machines follow by themselves, so that no fence waits for the machine of another; a defect among them goes to `failed`. A kill that
 * is under way does more, and another revoke as much. */
export async function revokeAt(
  lifecycle: Lifecycle,
  workspace: string,
  by: string,
  reason: string,
  commandId: string,
  failed: (error: unknown) => void = () => undefined,
): Promise<void> {
  const requestId = requestOf(commandId, workspace)
  const digest = requestDigest('revoke', { workspace, profile: null })
  let run = narrowing(lifecycle, workspace)
  if (!run) {
    const before = lifecycle.answered(requestId, digest, workspace)
    if (!before) run = await lifecycle.begin({ requestId, change: 'revoke', workspace, by, reason, digest })
    run?.answer.catch(failed)
  }
  await requireFenced(lifecycle, workspace, run)
}

function narrowing(lifecycle: Lifecycle, workspace: string): Run | undefined {
  const run = lifecycle.underWay(workspace)
  return run && preempts(run.change) ? run : undefined
}

/** By this run or by what took its place; without one, by what is on record. */
async function requireFenced(lifecycle: Lifecycle, workspace: string, first: Run | undefined): Promise<void> {
  let run = first
  while (run) {
    if (await run.fenced) return
    const next = narrowing(lifecycle, workspace)
    if (!next || next === run) throw lifecycleFault('WORKSPACE_OWED', { workspace, steps: 'fence' })
    // It took the place of that one.
    run = next
  }
  const owed = owedSteps(lifecycle.host.store.get(workspace) ?? emptyRecord(workspace))
  if (owed.includes('fence')) throw lifecycleFault('WORKSPACE_OWED', { workspace, steps: owed.join(', ') })
}
