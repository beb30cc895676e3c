// Decisions of a running agent: one decider for gRPC and the socket; registration records looked for by a clock of their own, so
// that a suspended agent is known to be one without anybody asking; and what the trail and the metrics hear of the answers.

import { Decider } from '../agent/decider.js'
import { DecisionTrail } from '../agent/decision-trail.js'
import type { DecisionMetrics } from '../agent/metrics-decisions.js'
import type { AgentNode } from '../agent/node.js'
import type { Fact } from '../audit/fact.js'
import type { Decided, DecideRequest } from '../cli/host-decisions.js'
import type { Authority } from '../decide/authority.js'

export interface DecisionsAround {
  readonly node: () => Promise<AgentNode>
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  readonly metrics: DecisionMetrics
  readonly nowMs: () => number
  readonly emit: (facts: readonly Fact[]) => Promise<void>
  /** Told once, until it works again. */
  readonly failed: (error: unknown) => void
}

export interface Decisions {
  /** For an operator who asks what would be: it is in no trail. */
  readonly decider: Pick<Decider, 'answer'>
  /** For whoever is about to act. */
  readonly noted: Pick<Decider, 'answer'>
  readonly stop: () => Promise<void>
}

const TICK_MS = 1_000
/** Between two looks into the folder of registrations. */
const TICKS_PER_REFRESH = 2

export function hostDecisions({ node, sleep, metrics, nowMs, emit, failed }: DecisionsAround): Decisions {
  const monotonicMs = () => performance.now()
  const decider = new Decider(node, monotonicMs)
  const noted = new DecisionTrail(decider, { metrics, nowMs, monotonicMs })
  const stopping = new AbortController()
  const tell = async (until: number): Promise<void> => {
    const facts = noted.due(until)
    if (facts.length > 0) await emit(facts)
  }
  const run = async (): Promise<void> => {
    let isFailing = false
    for (let tick = 0; !stopping.signal.aborted; tick++) {
      try {
        if (tick % TICKS_PER_REFRESH === 0) await decider.refresh()
        isFailing = false
      } catch (error) {
        if (!isFailing) failed(error)
        isFailing = true
      }
      await tell(nowMs())
      await sleep(TICK_MS, stopping.signal)
    }
    await tell(Number.POSITIVE_INFINITY)
  }
  const running = run()
  return {
    decider,
    noted,
    stop: () => {
      stopping.abort()
      return running
    },
  }
}

/** One question of the command line. */
export async function decided(decider: Pick<Decider, 'answer'>, given: unknown): Promise<Decided> {
  const { workspace, text, audience, nonce } = given as DecideRequest
  const { decision, program, authority, attestation } = await decider.answer({ workspace, text, audience, nonce })
  const { generation, bundleDigest } = program
  return { ...decision, generation, bundleDigest, ...shownAuthority(authority), attestation }
}

/** Without its scopes: they were judged, and are nobody else's affair. */
export function shownAuthority(authority: Authority | undefined): Pick<Decided, 'authority'> {
  if (!authority) return {}
  const { agentId, sponsor, taskId, expiresAtMs } = authority
  return { authority: { agentId, sponsor, taskId, expiresAtMs } }
}

/** The same without a running agent: from what the node has on record. */
export function decideHere(node: AgentNode): (request: DecideRequest) => Promise<Decided> {
  const decider = new Decider(
    () => Promise.resolve(node),
    () => performance.now(),
  )
  return (request) => decided(decider, request)
}
