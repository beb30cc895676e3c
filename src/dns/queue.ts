// Grants on their way into the kernel: whatever is waiting while one write is under way goes together with the next, so that a
// burst of names costs a few transactions. Each caller hears of its own grants: a batch that fails is tried one by one.

import type { LearnedGrant } from '../plan/model.js'

/** As `Driver.learn`: true when every grant was read back, false when the generation is not live any more. */
export type Learn = (generation: number, grants: readonly LearnedGrant[]) => Promise<boolean>

interface Waiting {
  readonly generation: number
  readonly grants: readonly LearnedGrant[]
  readonly done: (live: boolean) => void
  readonly failed: (error: unknown) => void
}

export class GrantQueue {
  private waiting: Waiting[] = []
  private running = false

  constructor(private readonly learn: Learn) {}

  /** Resolves as `learn` does. */
  write(generation: number, grants: readonly LearnedGrant[]): Promise<boolean> {
    if (grants.length === 0) return Promise.resolve(true)
    return new Promise((done, failed) => {
      this.waiting.push({ generation, grants, done, failed })
      if (!this.running) void this.run()
    })
  }

  private async run(): Promise<void> {
    this.running = true
    for (let first = this.waiting[0]; first; first = this.waiting[0]) {
      const { generation } = first
      const batch = this.waiting.filter((one) => one.generation === generation)
      this.waiting = this.waiting.filter((one) => one.generation !== generation)
      await this.together(batch)
    }
    this.running = false
  }

  private async together(batch: readonly Waiting[]): Promise<void> {
    const { generation = 0 } = batch[0] ?? {}
    if (batch.length > 1) {
      // One caller's failure must not fail the others: then each is tried alone.
      const all = batch.flatMap(({ grants }) => grants)
      const live = await this.learn(generation, all).catch(() => false)
      if (live) {
        for (const { done } of batch) done(true)
        return
      }
    }
    for (const { grants, done, failed } of batch) await this.learn(generation, grants).then(done, failed)
  }
}
