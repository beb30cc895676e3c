// Until when a plan holds: the end of its bundle, or the limit of the freshness statement that confirms it, whichever comes
// first. The data plane carries that moment, so that it holds with the agent dead (design section 7).

import { confirms, type FreshnessMark, needsFreshness } from '../bundle/freshness.js'
import type { HeldMark } from '../bundle/model.js'
import { NO_TRUST } from '../bundle/root.js'
import { isClosed } from '../plan/closed.js'
import type { PlanSource } from '../plan/model.js'
import { isRolledBack } from './clock.js'
import type { AgentNode } from './node.js'
import type { Bounded, Numbered } from './transaction.js'

/** Until when the held statement confirms this content; undefined when it does not. */
export const staleAt = (fresh: FreshnessMark | null, mark: HeldMark): number | undefined =>
  fresh !== null && confirms(fresh, mark) ? fresh.expiresAtMs : undefined

/**
 * Until when what was made from this source holds: the end of the bundle or the freshness limit, whichever comes first. 0 when
 * freshness is asked for and `fresh` does not confirm it. A root that cannot be read asks for what it asked for before: who
 * never needed a statement holds none. So does one that was rolled back.
 */
export function holdsUntil(node: AgentNode, source: PlanSource, fresh = node.store.trustMemory().freshness): number {
  const asked = node.trust === NO_TRUST || isRolledBack(node) ? fresh !== null : needsFreshness(node.trust)
  if (isClosed(source) || !asked) return source.expiresAtMs
  const { epoch, policyRevision, bundleDigest: payloadDigest } = source
  return Math.min(
    source.expiresAtMs,
    staleAt(fresh, { epoch, policyRevision: BigInt(policyRevision), payloadDigest }) ?? 0,
  )
}

/**
 * The plan with the deadline that the data plane is to carry. A node that boots with its clock years back would give it years more
 * than it has: no end lies farther away than it does from the latest time that this node has reached.
 */
export const bounded = (
  node: AgentNode,
  numbered: Numbered,
  untilMs = holdsUntil(node, numbered.plan.source),
): Bounded => ({
  ...numbered,
  untilMs,
  behindMs: Math.max(0, node.store.trustMemory().clockFloorMs - node.nowMs()),
})
