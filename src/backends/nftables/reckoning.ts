// Refusals that the kernel counted and nobody was told of. Rules count every packet that they refuse, sample some of them, and some
// hooks only count; so that a flood is no gap in the trail, what was counted and not told is told as lost. Given the counters of each
// look at the ruleset and what was delivered since; gives what is due. Never tells more than was counted: a sample that is still on its
// way when a look is weighed is left out, and weighed at the next.

import type { DropReason } from '../../plan/state.js'
import type { NftObject } from './libnftables.js'
import { counterName } from './scaffold.js'

/** What hosts say of themselves, and frames that are no packets, are not sampled and nobody wants to hear of them. */
const UNTOLD: readonly DropReason[] = ['noise', 'link-layer']

export const isReckoned = (reason: DropReason): boolean => !UNTOLD.includes(reason)

/** From the kernel's queue to here, on a machine that does other things as well. */
const ON_ITS_WAY_MS = 500

export class Reckoning {
  private readonly names: ReadonlySet<string>
  private readonly last = new Map<string, number>()
  private counted = 0
  private told = 0
  private lookedAtMs: number | undefined

  constructor(reasons: readonly DropReason[]) {
    this.names = new Set(reasons.filter(isReckoned).map(counterName))
  }

  /** The objects of our tables as they were listed. A counter that went back was made anew. */
  looked(objects: readonly NftObject[], nowMs: number): void {
    const first = this.lookedAtMs === undefined
    for (const { counter } of objects) {
      if (!counter || !this.names.has(counter.name)) continue
      const key = `${counter.family} ${counter.name}`
      const before = this.last.get(key) ?? (first ? counter.packets : 0)
      this.counted += counter.packets >= before ? counter.packets - before : counter.packets
      this.last.set(key, counter.packets)
    }
    // What was delivered before lies below where the counters stood.
    if (first) this.told = 0
    this.lookedAtMs = nowMs
  }

  /** From here on somebody listens; what was counted before is nobody's. */
  begin(): void {
    this.told = this.counted
  }

  /** So many were delivered, or were told as lost. */
  tell(packets: number): void {
    this.told += packets
  }

  /** How many of those that the last look had counted were not told; they count as told from now on. */
  due(nowMs: number): number {
    if (this.lookedAtMs === undefined || nowMs - this.lookedAtMs < ON_ITS_WAY_MS) return 0
    const missing = Math.max(0, this.counted - this.told)
    this.told += missing
    return missing
  }
}
