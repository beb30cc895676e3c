// The one reading of the clock for a run. What was reached is remembered by freshness.ts.

import { CLOCK_TOLERANCE_MS } from '../bundle/freshness.js'
import { NO_TRUST } from '../bundle/root.js'
import { agentFault } from './errors.js'
import type { AgentNode } from './node.js'

/** Whether the root at hand is one that was followed before a newer one. What it says of trust counts for nothing. */
export const isRolledBack = (node: AgentNode, rootVersion = node.store.trustMemory().rootVersion): boolean =>
  // A root that cannot be read is none, and not an older one: by it nothing is accepted anyway.
  node.trust !== NO_TRUST && node.trust.version < rootVersion

/**
 * Never before what was seen already. A clock that has gone back by more than the tolerance throws AGENT_CLOCK_BACK; what is live
 * stays enforced. Throws AGENT_ROOT_ROLLED_BACK for a root older than one that was followed before.
 */
export function readClock(node: AgentNode): number {
  const memory = node.store.trustMemory()
  if (isRolledBack(node, memory.rootVersion))
    throw agentFault('AGENT_ROOT_ROLLED_BACK', { version: node.trust.version, held: memory.rootVersion })
  const nowMs = node.nowMs()
  const { clockFloorMs } = memory
  if (nowMs < clockFloorMs - CLOCK_TOLERANCE_MS) throw agentFault('AGENT_CLOCK_BACK', { nowMs, clockFloorMs })
  return Math.max(nowMs, clockFloorMs)
}
