// What the agent works with on one node, opened once by a composition root and handed in as values: configuration, trust,
// durable store, backends, the trail and the clock. And the two questions that every command begins with: what is on
// record, and what is live.

import type { Fact } from '../audit/fact.js'
import type { Observed } from '../backends/backend.js'
import type { Digest } from '../base/digest.js'
import { causeChain } from '../base/fault.js'
import type { TrustRoot } from '../bundle/model.js'
import type { Signer } from '../bundle/sign.js'
import type { BackendName } from '../plan/model.js'
import type { Compiled, Compiling } from './compile.js'
import type { AgentConfig } from './config.js'
import { type Agreement, agreement, decideUnfinished, type Live } from './decide.js'
import { agentFault } from './errors.js'
import type { Activation, AgentState } from './record.js'
import type { Store } from './store.js'
import type { Numbered, OpenBackends } from './transaction.js'

export interface AgentNode {
  readonly config: AgentConfig
  readonly trust: TrustRoot
  /** Of the trust root's file: a new root makes old refusals void. */
  readonly trustDigest: Digest
  readonly store: Store
  /** Every backend that this node uses or used. */
  readonly backends: OpenBackends
  /** Those that new plans may use, by preference. */
  readonly order: readonly BackendName[]
  /** Puts facts into the trail. Never throws: enforcement does not wait for a sink. */
  readonly emit: (facts: readonly Fact[]) => Promise<void>
  /** As `emit`, for what must not get lost: answers with a question, whether these are on disk. Absent: `emit` put them there. */
  readonly keep?: Keep
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Compiles somewhere else than here, so that nothing waits for it; absent: in place. Throws AGENT_COMPILE_LOST. */
  readonly compile?: (given: Compiling) => Promise<Compiled>
  /** The agent's own key, for receipts; a node without one gives none. */
  readonly signer?: Signer
}

/** `lost`: everything that was told is on disk or lost, and what of these nobody knows. */
export type Kept = 'there' | 'waits' | 'lost'
export type Keep = (facts: readonly Fact[]) => Promise<() => Promise<Kept>>

export interface OnRecord {
  readonly state: AgentState
  /** The plan that should be live, with its number. */
  readonly previous?: Numbered
  /** How far the kernel agrees with it. */
  readonly agreement?: Agreement
  readonly live: Live
}

/** What every usable backend shows now; one that is not usable shows nothing. Throws AGENT_BACKEND_LOST. */
export async function observeAll(backends: OpenBackends): Promise<Live> {
  const live = new Map<BackendName, Observed>()
  for (const [name, { driver, capabilities }] of backends) {
    if (!capabilities.usable) continue
    try {
      live.set(name, await driver.observe())
    } catch (cause) {
      throw agentFault('AGENT_BACKEND_LOST', { backend: name }, { cause })
    }
  }
  return live
}

/** As `observeAll`, for whoever only shows: a backend that cannot be asked is left out, and `lost` says why. */
export async function observeReachable(backends: OpenBackends, lost: Map<BackendName, string>): Promise<Live> {
  const live = new Map<BackendName, Observed>()
  for (const [name, open] of backends) {
    if (!open.capabilities.usable) {
      lost.set(name, open.capabilities.why)
      continue
    }
    try {
      for (const [one, seen] of await observeAll(new Map([[name, open]]))) live.set(one, seen)
    } catch (error) {
      lost.set(name, causeChain(error).join(': '))
    }
  }
  return live
}

/** Numbers that a backend shows are taken, also when the record was begun anew: the kernel goes forward only. */
function pastAll(state: AgentState, live: Live): AgentState {
  const seen = [...live.values()].map((backend) => backend.live?.generation ?? 0)
  return { ...state, lastGeneration: Math.max(state.lastGeneration, ...seen) }
}

/** Reads record and kernel. Throws AGENT_BACKEND_LOST, AGENT_STORE_*. Writes nothing: `finish` tells whether an earlier run was cut short. */
export async function lookUp(
  node: AgentNode,
  observe: (backends: OpenBackends) => Promise<Live> = observeAll,
): Promise<OnRecord & { readonly finished: boolean }> {
  const live = await observe(node.backends)
  const found = pastAll(node.store.load(), live)
  const state = found.next ? decideUnfinished(found, node.store.loadPlan(found.next.planDigest), live) : found
  const finished = found.next === null
  if (!state.live) return { state, live, finished }
  const plan = node.store.loadPlan(state.live.planDigest)
  return {
    state,
    previous: { plan, digest: state.live.planDigest, generation: state.live.generation, backends: state.live.backends },
    agreement: agreement(state.live, plan, live),
    live,
    finished,
  }
}

/** As `lookUp`, and puts on record what became of a run that was cut short. Needs the lock. */
export async function settle(node: AgentNode): Promise<OnRecord> {
  const found = await lookUp(node)
  if (!found.finished) node.store.save(found.state)
  return found
}

export const activationOf = (next: Numbered, nowMs: number): Activation => ({
  generation: next.generation,
  planDigest: next.digest,
  backends: next.backends,
  source: next.plan.source,
  decidedAtMs: nowMs,
})
