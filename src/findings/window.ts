// Numbers and different words of the last while, with bounded memory. Time comes with every call and never goes back: what is
// older than the newest counts as now, so that a late report is counted and no clock can empty a window.

const SLOTS = 12

/** How much there was within a window, to a twelfth of it. */
export class SlidingCount {
  private readonly slots = new Array<number>(SLOTS).fill(0)
  private at = Number.NEGATIVE_INFINITY

  constructor(private readonly windowMs: number) {}

  add(atMs: number, count: number): void {
    this.turn(atMs)
    this.slots[this.at % SLOTS] = (this.slots[this.at % SLOTS] ?? 0) + count
  }

  total(atMs: number): number {
    this.turn(atMs)
    return this.slots.reduce((sum, slot) => sum + slot, 0)
  }

  private turn(atMs: number): void {
    const slot = Math.max(0, Math.floor((atMs * SLOTS) / this.windowMs))
    if (slot <= this.at) return
    const gone = Math.min(SLOTS, slot - this.at)
    for (let i = 0; i < gone; i++) this.slots[(slot - i) % SLOTS] = 0
    this.at = slot
  }
}

/** Different words within a window, each with a number; at most `most`, and beyond them the oldest goes. */
export class Recent {
  private readonly seen = new Map<string, { atMs: number; firstAtMs: number; readonly weight: number }>()

  constructor(
    private readonly windowMs: number,
    private readonly most: number,
  ) {}

  /** True when it is new within the window. */
  add(word: string, atMs: number, weight = 1): boolean {
    this.prune(atMs)
    const known = this.seen.get(word)
    this.seen.delete(word)
    if (!known && this.seen.size >= this.most) this.drop()
    this.seen.set(word, { atMs, firstAtMs: known?.firstAtMs ?? atMs, weight: known?.weight ?? weight })
    return known === undefined
  }

  size(atMs: number): number {
    this.prune(atMs)
    return this.seen.size
  }

  weight(): number {
    let sum = 0
    for (const { weight } of this.seen.values()) sum += weight
    return sum
  }

  firstAtMs(): number {
    let first = Number.POSITIVE_INFINITY
    for (const { firstAtMs } of this.seen.values()) first = Math.min(first, firstAtMs)
    return first
  }

  /** The last seen last. */
  words(): readonly string[] {
    return [...this.seen.keys()]
  }

  /** In the order in which they were last seen, so the first that is young ends it. */
  private prune(atMs: number): void {
    for (const [word, { atMs: last }] of this.seen) {
      if (atMs - last < this.windowMs) return
      this.seen.delete(word)
    }
  }

  private drop(): void {
    for (const word of this.seen.keys()) {
      this.seen.delete(word)
      return
    }
  }
}

/** A value for each key, made when it is first asked for; beyond `most` the one that was asked for longest ago goes. */
export class Kept<T> {
  private readonly values = new Map<string, T>()

  constructor(
    private readonly most: number,
    private readonly make: () => T,
  ) {}

  get(key: string): T {
    const value = this.values.get(key) ?? this.make()
    this.values.delete(key)
    this.values.set(key, value)
    if (this.values.size > this.most)
      for (const oldest of this.values.keys()) {
        this.values.delete(oldest)
        break
      }
    return value
  }

  forget(key: string): void {
    this.values.delete(key)
  }

  get size(): number {
    return this.values.size
  }
}

/** Workspaces, and callers, that are remembered. */
export const MOST_SUBJECTS = 4_096
