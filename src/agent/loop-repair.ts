// Drift: what is live differs from what is on record. `look` says how, and changes nothing; `repair` puts the plan on record
// back, tells the trail both states, and says how long it took (design section 7).

import type { PolicyContext } from '../audit/fact.js'
import { causeChain, type Fault } from '../base/fault.js'
import { encodePlan } from '../plan/codec.js'
import type { BackendName } from '../plan/model.js'
import { activate } from './activate.js'
import { policyContext } from './context.js'
import { decideActivation } from './decide.js'
import { tend } from './freshness.js'
import type { Finding } from './loop-decide.js'
import { type AgentNode, activationOf, lookUp, type OnRecord, settle } from './node.js'
import { outageSince } from './outage.js'

export interface Looked {
  readonly finding: Finding
  readonly drift: readonly string[]
}

/** Compares record and kernel. Throws what the store or a backend throws when it cannot be asked. */
export async function look(node: AgentNode): Promise<Looked> {
  const found = await lookUp(node)
  const { agreement } = found
  if (!agreement) return { finding: 'nothing-held', drift: [] }
  // An intent on record is no drift of the kernel, and settling it is what a repair begins with.
  if (agreement.kind === 'as-planned') return { finding: found.finished ? 'as-planned' : 'drifted', drift: [] }
  return { finding: agreement.kind, drift: agreement.kind === 'drifted' ? agreement.drift : [] }
}

/** A backend that cannot be asked, since when, and what it should carry. */
export interface Lost {
  readonly sinceMs: number
  readonly policy: PolicyContext | undefined
}

/** Tells the trail that a backend cannot be asked. What it carries stays with it: nothing is placed anew while it is away. */
export async function tellLost(node: AgentNode, error: Fault): Promise<Lost> {
  const { live } = node.store.load()
  const atMs = node.nowMs()
  const policy = live ? policyContext(live) : undefined
  if (policy)
    await node.emit([{ kind: 'drift-found', atMs, policy, findings: [causeChain(error).join(': ')], live: [] }])
  return { sinceMs: atMs, policy }
}

/** Tells the trail that it answers again, and shows what was planned. */
export async function tellBack(node: AgentNode, { sinceMs, policy }: Lost): Promise<void> {
  const atMs = node.nowMs()
  const { live } = node.store.load()
  if (!policy || !live) return
  const now = policyContext(live)
  await node.emit([
    { kind: 'drift-repaired', atMs, policy: now, replaced: policy, elapsedMs: Math.max(0, atMs - sinceMs) },
  ])
}

export interface Repaired {
  /** `nothing`: record and kernel agreed when its turn came. */
  readonly kind: 'nothing' | 'restored' | 'replaced'
  readonly generation: number
  readonly drift: readonly string[]
  readonly elapsedMs: number
}

/** Needs the lock. Throws AGENT_ACTIVATION_FAILED, AGENT_NOT_LIVE, AGENT_STORE_*; then the fence is as `activate` left it. */
export async function repair(node: AgentNode): Promise<Repaired> {
  const startMs = node.nowMs()
  const record = await settle(node)
  const { state, previous, agreement } = record
  if (!previous || !state.live || !agreement || agreement.kind === 'as-planned')
    return { kind: 'nothing', generation: state.live?.generation ?? 0, drift: [], elapsedMs: 0 }
  const drift = agreement.kind === 'drifted' ? agreement.drift : ['nothing is live']
  const before = policyContext(state.live)
  await node.emit([{ kind: 'drift-found', atMs: startMs, policy: before, findings: drift, live: shownBy(record) }])
  const decision = decideActivation(state, previous.digest, agreement)
  const next = { ...previous, generation: decision.generation }
  const marks = { bundle: state.mark, inventory: state.inventoryMark }
  const unshown = await activate(node, record, next, encodePlan(next.plan), marks, startMs)
  if (unshown) throw unshown
  // Tables that were gone had no flags: what must be suspended is suspended before anybody is told that it is repaired.
  await tend(node)
  // Where traffic stood still meanwhile, it did so since before anybody looked.
  const outage = await outageSince(node, startMs)
  const elapsedMs = outage ? outage.untilMs - outage.fromMs : node.nowMs() - startMs
  const policy = policyContext(activationOf(next, startMs))
  await node.emit([{ kind: 'drift-repaired', atMs: node.nowMs(), policy, replaced: before, elapsedMs }])
  return { kind: decision.kind === 'restore' ? 'restored' : 'replaced', generation: next.generation, drift, elapsedMs }
}

const shownBy = ({
  previous,
  live,
}: OnRecord): { readonly backend: BackendName; readonly generation: number | null }[] =>
  (previous?.backends ?? []).map((backend) => ({ backend, generation: live.get(backend)?.live?.generation ?? null }))
