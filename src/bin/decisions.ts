// Decisions of a running agent: one decider for gRPC and the socket, and registration records looked for by a clock of their own,
// so that a suspended agent is known to be one without anybody asking.

import { Decider } from '../agent/decider.js'
import type { AgentNode } from '../agent/node.js'
import type { Decided, DecideRequest } from '../cli/host-decisions.js'
import type { Authority } from '../decide/authority.js'

export interface DecisionsAround {
  readonly node: () => Promise<AgentNode>
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  /** Told once, until it works again. */
  readonly failed: (error: unknown) => void
}

/** Between two looks into the folder of registrations. */
const EVERY_MS = 2_000

export function hostDecisions({ node, sleep, failed }: DecisionsAround): {
  readonly decider: Decider
  readonly stop: () => Promise<void>
} {
  const decider = new Decider(node, () => performance.now())
  const stopping = new AbortController()
  const run = async (): Promise<void> => {
    let isFailing = false
    while (!stopping.signal.aborted) {
      try {
        await decider.refresh()
        isFailing = false
      } catch (error) {
        if (!isFailing) failed(error)
        isFailing = true
      }
      await sleep(EVERY_MS, stopping.signal)
    }
  }
  const running = run()
  return {
    decider,
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
