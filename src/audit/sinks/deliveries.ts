// Deliveries that run side by side and end together: first they get through what there is, as far as it goes at once, and after
// a grace whatever is still under way is aborted. Off the path of everything else; nothing waits for them but who stops them.

import type { Delivery } from './delivery.js'
import type { SinkStatus } from './terms.js'

/** For what is under way when they are to end. */
const GRACE_MS = 5_000

export interface Deliveries {
  readonly status: () => readonly SinkStatus[]
  /** Aborted from when they are to end. */
  readonly ending: AbortSignal
  /** Delivers what there is by then, as far as it gets through at once; on return nothing runs any more. */
  readonly stop: () => Promise<void>
}

/** Begins to deliver. `make` gets the signal that is aborted when they are to end. Never throws. */
export function runDeliveries(make: (ending: AbortSignal) => readonly Delivery[]): Deliveries {
  const [ending, ended] = [new AbortController(), new AbortController()]
  const deliveries = make(ending.signal)
  const running = deliveries.map((delivery) => delivery.run(ending.signal, ended.signal))
  return {
    status: () => deliveries.map((delivery) => delivery.status()),
    ending: ending.signal,
    stop: async () => {
      ending.abort()
      const late = setTimeout(() => {
        ended.abort()
      }, GRACE_MS)
      await Promise.all(running)
      clearTimeout(late)
    },
  }
}
