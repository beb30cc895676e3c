// Break-glass statements on a node (bundle/breakglass.ts says what they may order): quarantine a workspace, or lift one
// quarantine for at most an hour. Either way a Critical event tells everybody. A lift is on record before the workspace is
// let out, and `relock` sets the quarantine again when its time is over, whoever runs next.

import { digestOf } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import { type Breakglass, verifyBreakglass } from '../bundle/breakglass.js'
import { readClock } from './clock.js'
import { policyContext, workspaceContext } from './context.js'
import { agentFault } from './errors.js'
import { rememberTime, tellRefused } from './freshness.js'
import type { AgentNode } from './node.js'
import { type Quarantined, quarantine } from './quarantine.js'

/**
 * Carries out a statement. Throws BUNDLE_* for what is wrong with it, AGENT_NOT_QUARANTINED for a lift of another one, after
 * telling the trail.
 */
export async function breakGlass(node: AgentNode, statement: Uint8Array): Promise<Quarantined & { order: Breakglass }> {
  try {
    return await carryOut(node, statement)
  } catch (error) {
    if (error instanceof Fault) await tellRefused(node, error)
    throw error
  }
}

async function carryOut(node: AgentNode, statement: Uint8Array): Promise<Quarantined & { order: Breakglass }> {
  const nowMs = readClock(node)
  const { audience } = node.config
  const { order, signers } = await verifyBreakglass(statement, node.trust, { nowMs, audience })
  const { workspace, reason } = order
  const by = signers.join(', ')
  const commandId = `breakglass-${digestOf(statement).slice('sha256:'.length, 'sha256:'.length + 16)}`
  if (order.action === 'lift') {
    const held = node.store.quarantines().find((entry) => entry.workspace === workspace)
    if (held?.commandId !== order.quarantine) throw agentFault('AGENT_NOT_QUARANTINED', { workspace })
    const lift = { ...held, quarantine: held.commandId, untilMs: order.expiresAtMs }
    const { lifts } = node.store.trustMemory()
    const others = lifts.filter((entry) => entry.workspace !== workspace)
    const { reason: why, by: who, quarantine: id, untilMs } = lift
    rememberTime(node, nowMs, { lifts: [...others, { workspace, quarantine: id, reason: why, by: who, untilMs }] })
  }
  await announce(node, order, signers)
  const kind = order.action === 'lift' ? 'quarantine-lift' : 'quarantine-set'
  return { ...(await quarantine(node, { kind, workspace, reason, by, commandId })), order }
}

async function announce(node: AgentNode, order: Breakglass, signers: readonly string[]): Promise<void> {
  const { live } = node.store.load()
  const { workspace, action, reason, expiresAtMs: untilMs } = order
  const at = live
    ? { policy: policyContext(live), workspace: workspaceContext(node.store.loadPlan(live.planDigest), workspace) }
    : { workspace: { workspace, attachmentId: '', interface: '' } }
  await node.emit([{ kind: 'breakglass-used', atMs: node.nowMs(), ...at, action, signers, reason, untilMs }])
}

/**
 * Sets the quarantines again whose lift is over, as they were. Answers with the workspaces. Throws what kept one from being set, after
 * the others were; the next call tries it again.
 */
export async function relock(node: AgentNode): Promise<readonly string[]> {
  const { lifts } = node.store.trustMemory()
  if (lifts.length === 0) return []
  // A clock that cannot be believed ends a lift: that only narrows.
  const over = lifts.filter((lift) => isOver(node, lift.untilMs))
  const back: typeof over = []
  let failure: Error | undefined
  for (const lift of over)
    try {
      const { workspace, quarantine: commandId, reason, by } = lift
      await quarantine(node, { kind: 'quarantine-set', workspace, reason, by, commandId })
      back.push(lift)
    } catch (error) {
      failure ??= error instanceof Error ? error : new TypeError(String(error))
    }
  if (back.length > 0) {
    const memory = node.store.trustMemory()
    const isBack = ({ workspace, quarantine: id }: (typeof back)[number]): boolean =>
      back.some((lift) => lift.workspace === workspace && lift.quarantine === id)
    node.store.saveTrustMemory({ ...memory, lifts: memory.lifts.filter((lift) => !isBack(lift)) })
  }
  if (failure !== undefined) throw failure
  return back.map((lift) => lift.workspace)
}

function isOver(node: AgentNode, untilMs: number): boolean {
  try {
    return readClock(node) >= untilMs
  } catch {
    // Neither the clock nor the root can be believed: the quarantine is back.
    return true
  }
}
