// Quarantine: a durable flag of a workspace, beside every plan and stronger than all of them, until an operator lifts it
// (design section 3). Setting it fences first and records after, because the fence is what is urgent; lifting records
// first and opens after, so that a crash between the two always leaves the workspace fenced.

import { join } from 'node:path'
import { Fault } from '../base/fault.js'
import type { Plan, WorkspaceId } from '../plan/model.js'
import type { QuarantineCommand } from './command.js'
import { policyContext, workspaceContext } from './context.js'
import { withoutQuarantine, withQuarantine } from './decide.js'
import { agentFault } from './errors.js'
import { waitForLock } from './lock.js'
import type { AgentNode } from './node.js'
import type { Activation, Quarantine } from './record.js'
import type { OpenBackend } from './transaction.js'

export interface Quarantined {
  readonly workspace: WorkspaceId
  /** False when the record said so already. */
  readonly changed: boolean
  readonly generation: number
  /** From the command's acceptance to the fence read back. */
  readonly elapsedMs: number
}

interface Target {
  readonly plan: Plan
  readonly live: Activation
  readonly open: OpenBackend
}

/** The backend that carries the workspace. Throws AGENT_NOTHING_LIVE, AGENT_WORKSPACE_UNKNOWN, AGENT_BACKEND_UNKNOWN. */
function target(node: AgentNode, workspace: WorkspaceId): Target {
  const { live, next } = node.store.load()
  const recorded = [live, next].filter((activation) => activation !== null)
  if (recorded.length === 0) throw agentFault('AGENT_NOTHING_LIVE', { directory: node.store.directory })
  // An activation that was cut short may be what the kernel has: its workspaces can be fenced like any other.
  for (const activation of recorded) {
    const plan = node.store.loadPlan(activation.planDigest)
    const entry = plan.workspaces.find((candidate) => candidate.workspace === workspace)
    if (!entry) continue
    const open = node.backends.get(entry.backend)
    if (!open) throw agentFault('AGENT_BACKEND_UNKNOWN', { backend: entry.backend })
    return { plan, live: activation, open }
  }
  throw agentFault('AGENT_WORKSPACE_UNKNOWN', { workspace })
}

/** Two changes of the list never overlap; each takes milliseconds. It is not the lock of apply. */
const LOCK = 'quarantine.lock'
const LOCK_WAIT_MS = 5_000
/** `fencing`: goes on without the lock when the disk refuses it, because a full disk must not keep a workspace open. */
async function alone<T>(node: AgentNode, fencing: boolean, action: () => Promise<T>): Promise<T> {
  const path = join(node.store.directory, LOCK)
  const release = await waitForLock(path, LOCK_WAIT_MS).catch((error: unknown) => {
    if (fencing && error instanceof Fault && error.code === 'AGENT_STORE_WRITE') return () => undefined
    throw error
  })
  try {
    return await action()
  } finally {
    release()
  }
}

/** Carries out `quarantine-set` or `quarantine-lift`, also while an apply is under way. */
export const quarantine = (node: AgentNode, command: QuarantineCommand): Promise<Quarantined> =>
  alone(node, command.kind === 'quarantine-set', () => change(node, command))

async function change(node: AgentNode, command: QuarantineCommand): Promise<Quarantined> {
  const startMs = node.nowMs()
  const { kind, workspace, reason, by, commandId } = command
  const { plan, live, open } = target(node, workspace)
  const before = node.store.quarantines()
  const on = kind === 'quarantine-set'
  const after = on
    ? withQuarantine(before, { workspace, reason, by, commandId, atMs: startMs })
    : withoutQuarantine(before, workspace)
  if (!on) node.store.saveQuarantines(after)
  await open.driver.flag(workspace, 'quarantined', on)
  const elapsedMs = node.nowMs() - startMs
  if (on && after !== before) node.store.saveQuarantines(after)
  await node.emit([
    {
      kind: on ? 'quarantine-set' : 'quarantine-lifted',
      atMs: node.nowMs(),
      policy: policyContext(live),
      workspace: workspaceContext(plan, workspace),
      by,
      reason,
      commandId,
      elapsedMs,
    },
  ])
  return { workspace, changed: after !== before, generation: live.generation, elapsedMs }
}

/**
 * Makes the kernel agree with the record again: every recorded quarantine of a planned workspace is set. One that only the
 * kernel knows stays, because its command may have been cut short after it fenced.
 */
export const reassert = (node: AgentNode, plan: Plan): Promise<void> =>
  alone(node, true, async () => {
    const recorded = new Set(node.store.quarantines().map((entry) => entry.workspace))
    for (const { workspace, backend } of plan.workspaces)
      if (recorded.has(workspace)) await node.backends.get(backend)?.driver.flag(workspace, 'quarantined', true)
  })

/** The last resort of a failed activation: every one of these workspaces is fenced and stays so until an operator looks. */
export const fenceAll = (node: AgentNode, workspaces: readonly WorkspaceId[], why: string): Promise<void> =>
  alone(node, true, async () => {
    const atMs = node.nowMs()
    for (const { driver } of node.backends.values()) {
      const { live } = await driver.observe()
      for (const workspace of workspaces)
        if (live?.workspaces.includes(workspace)) await driver.flag(workspace, 'quarantined', true)
    }
    let list: readonly Quarantine[] = node.store.quarantines()
    for (const workspace of workspaces)
      list = withQuarantine(list, { workspace, reason: why, by: 'sluice', commandId: 'activation-failed', atMs })
    node.store.saveQuarantines(list)
  })
