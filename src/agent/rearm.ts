// A freshness statement moves the deadline of the plan that is live, and the deadline lies in the data plane, so that
// staleness holds with the agent dead (design section 7). The same plan is committed again under its own number with the
// new deadline: drivers know how to do that, flows that stay granted notice nothing, and no second way to change a
// deadline has to be proved. A statement that does not name what is live moves nothing: `tend` judges that.

import type { FreshnessMark } from '../bundle/freshness.js'
import { isClosed } from '../plan/closed.js'
import { bounded, holdsUntil } from './deadline.js'
import { withLastResort } from './last-resort.js'
import { type AgentNode, lookUp } from './node.js'
import { reassert } from './quarantine.js'
import { commitAll, stageAll } from './transaction.js'

/** Needs the lock. Throws AGENT_ACTIVATION_FAILED; then the old deadline stands. */
export async function rearm(node: AgentNode, fresh: FreshnessMark): Promise<void> {
  const { live } = node.store.load()
  if (!live || isClosed(live.source)) return
  const untilMs = holdsUntil(node, live.source, fresh)
  if (untilMs === 0 || untilMs === holdsUntil(node, live.source)) return
  const { previous, agreement } = await lookUp(node)
  // What is gone or was changed is put right by the next activation, which asks for the limit itself.
  if (!previous || agreement?.kind !== 'as-planned') return
  if (previous.plan.workspaces.every((entry) => entry.onExpiry === 'hold')) return
  const before = bounded(node, previous)
  const prepared = await stageAll(node.backends, before, bounded(node, previous, untilMs))
  await reassert(node, previous.plan)
  await withLastResort(node, (fence) => commitAll(prepared, before, fence))
  await reassert(node, previous.plan)
}
