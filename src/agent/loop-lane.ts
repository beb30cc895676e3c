// A lane: actions that run one at a time, in the order in which they came. The agent has two, so that a quarantine never
// waits behind an apply. A lane that is full refuses rather than grows; one that is closed lets what runs come to its end
// and refuses what waits, because a command that was cut off half way is what the store's intent is for, not this.

import { agentFault } from './errors.js'

/** More than any caller has reason to ask at once; gRPC callers have limits of their own before this one. */
export const LANE_WAITING = 256

interface Waiting {
  readonly start: () => Promise<void>
  readonly refuse: () => void
  readonly isFirst: boolean
}

export class Lane {
  private readonly queue: Waiting[] = []
  private running: Promise<void> | undefined
  private closed = false

  constructor(
    readonly name: string,
    private readonly most: number = LANE_WAITING,
  ) {}

  /** Actions that have not begun. */
  get waiting(): number {
    return this.queue.length
  }

  /**
   * Runs `action` when its turn comes; one that is first waits for what runs and for others that are first, and finds room in a lane that
   * is full. Throws AGENT_QUEUE_FULL, AGENT_STOPPING, and what the action throws.
   */
  run<T>(action: () => Promise<T>, isFirst = false): Promise<T> {
    if (this.closed) return Promise.reject(agentFault('AGENT_STOPPING', { lane: this.name }))
    if (!isFirst && this.queue.length >= this.most)
      return Promise.reject(agentFault('AGENT_QUEUE_FULL', { lane: this.name, waiting: this.queue.length }))
    return new Promise<T>((resolve, reject) => {
      const at = isFirst ? this.queue.filter((one) => one.isFirst).length : this.queue.length
      this.queue.splice(at, 0, {
        isFirst,
        start: () => action().then(resolve, reject),
        refuse: () => {
          reject(agentFault('AGENT_STOPPING', { lane: this.name }))
        },
      })
      this.running ??= this.drain()
    })
  }

  /** Refuses what waits, and resolves when what runs has ended. Idempotent. */
  async close(): Promise<void> {
    this.closed = true
    for (const { refuse } of this.queue.splice(0)) refuse()
    await this.running
  }

  private async drain(): Promise<void> {
    for (let next = this.queue.shift(); next; next = this.queue.shift()) await next.start()
    this.running = undefined
  }
}
