// Decisions of a running agent: one decider for gRPC and the socket, and registration records looked for by a clock of their own,
// so that a suspended agent is known to be one without anybody asking.

import { Decider } from '../agent/decider.js'
import type { AgentNode } from '../agent/node.js'

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
