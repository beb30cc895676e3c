// From a decided plan to a live one: stage everywhere, record mark and intent in one write, set the flags of what is in
// quarantine, switch, read back, and then say that it is active. A crash between any two of these restarts to the old
// plan or the new one; a switch that fails is undone (transaction.ts), and one that was made everywhere never is: what comes
// after it may not be what anybody planned, is told as active with what could not be shown, and is repaired towards the new plan.

import { causeChain, Fault } from '../base/fault.js'
import type { Plan } from '../plan/model.js'
import { policyContext } from './context.js'
import { bounded } from './deadline.js'
import { agreement, intend, type Live, settled, undone } from './decide.js'
import { agentFault } from './errors.js'
import { withLastResort } from './last-resort.js'
import { type AgentNode, activationOf, type OnRecord, observeAll } from './node.js'
import { observeChanges } from './observing.js'
import { reassert } from './quarantine.js'
import type { Activation, Mark } from './record.js'
import { commitAll, discardAll, type Numbered, stageAll } from './transaction.js'

/** What the node has seen once this is live; null where nothing was ever accepted. */
export interface Marks {
  readonly bundle: Mark | null
  readonly inventory: Mark | null
}

/**
 * Throws what keeps the new plan from being live; then the old one is. Answers with why it cannot be shown, or put on record, that
 * the new one is: every backend has switched, it is told as active, and nobody refuses it any more. AGENT_NOT_LIVE, AGENT_BACKEND_LOST,
 * AGENT_STORE_WRITE and what `reassert` throws. `encoded` is the plan's byte form.
 */
export async function activate(
  node: AgentNode,
  record: OnRecord,
  next: Numbered,
  encoded: Uint8Array,
  marks: Marks,
  nowMs: number,
): Promise<Error | undefined> {
  const { store, backends } = node
  const previous = record.previous && bounded(node, record.previous)
  const staging = stageAll(backends, previous, bounded(node, next))
  // Nothing names it yet, so the disk and the kernel may work side by side; the intent waits for both.
  const unsaved = attempt(() => {
    store.savePlan(encoded, next.digest)
  })
  const prepared = await staging
  const activation = activationOf(next, nowMs)
  const intended = intend(record.state, activation, marks)
  try {
    if (unsaved !== undefined) throw unsaved
    store.save(intended)
  } catch (error) {
    await discardAll(prepared)
    throw error
  }
  try {
    // A quarantine is stronger than every new attachment: its flag waits where the workspace is about to appear.
    await reassert(node, next.plan)
  } catch (error) {
    store.save(undone(intended))
    await discardAll(prepared)
    throw error
  }
  await withLastResort(node, async (fence) => {
    try {
      await commitAll(prepared, previous, fence)
    } catch (error) {
      store.save(undone(intended))
      // What was rolled back is fenced as the record says, whatever the failed switch did to the flags.
      if (previous) await reassert(node, previous.plan)
      throw error
    }
  })
  const done = settled(intended)
  const unseen = await whyUnseen(async () => {
    await reassert(node, next.plan)
    requireLive(activation, next.plan, await observeAll(backends))
  })
  // Whatever a look says: with the old plan on record a repair would give back what this one took away. With the intent there, the
  // next look at record and kernel settles it.
  const unkept = attempt(() => {
    store.save(done)
  })
  if (!unkept) store.prunePlans(done)
  const unshown = unseen ?? unkept
  const doubt = unshown ? { unseen: causeChain(unshown).join(': ') } : {}
  const replaced = record.state.live ? { replaced: policyContext(record.state.live) } : {}
  const policy = policyContext(activation)
  await node.emit([
    ...activation.backends.map((backend) => ({
      kind: 'bundle-activated' as const,
      atMs: node.nowMs(),
      policy,
      ...replaced,
      backend,
      ...doubt,
    })),
    ...observeChanges(record.previous?.plan, next.plan, activation, node.nowMs()),
  ])
  return unshown
}

async function whyUnseen(look: () => Promise<void>): Promise<Error | undefined> {
  try {
    await look()
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new TypeError(String(error))
  }
}

function attempt(act: () => void): Fault | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
}

/** `active` is said without a doubt only of what was read back (design section 7). */
function requireLive(activation: Activation, plan: Plan, live: Live): void {
  const seen = agreement(activation, plan, live)
  if (seen.kind === 'as-planned') return
  const found = seen.kind === 'absent' ? 'nothing' : seen.drift.join('; ')
  const expected = `generation ${activation.generation} of ${activation.planDigest}`
  throw agentFault('AGENT_NOT_LIVE', { backend: activation.backends.join(', '), expected, found })
}
