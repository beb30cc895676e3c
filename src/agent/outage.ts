// How long nothing passed: on a backend whose fence goes with the process that holds it, or with a device that was reset, traffic
// stops until somebody builds it anew (design section 7, "agent restarts"). The backend measures, the trail is told.

import type { Observed } from '../backends/backend.js'
import { policyContext } from './context.js'
import { type AgentNode, observeAll } from './node.js'
import type { Activation } from './record.js'

export type Outage = NonNullable<Observed['outage']>

/** The longest that ended after that moment; undefined where every fence stood. Throws what a backend throws. */
export async function outageSince(node: AgentNode, sinceMs: number): Promise<Outage | undefined> {
  const seen = [...(await observeAll(node.backends)).values()].flatMap(({ outage }) => outage ?? [])
  return seen
    .filter(({ untilMs }) => untilMs >= sinceMs)
    .sort((a, b) => a.fromMs - b.fromMs)
    .at(0)
}

/** Tells the trail of the outage that a restart ended, if there was one. */
export async function tellOutage(node: AgentNode, before: Activation, sinceMs: number): Promise<void> {
  const outage = await outageSince(node, sinceMs)
  const { live } = node.store.load()
  if (!outage || !live) return
  const { fromMs, untilMs } = outage
  const replaced = policyContext(before)
  const elapsedMs = untilMs - fromMs
  // Nobody changed anything, so nothing is found: that it is live again, and after how long, is what there is to tell.
  await node.emit([{ kind: 'drift-repaired', atMs: untilMs, policy: policyContext(live), replaced, elapsedMs }])
}
