// What the mediator counts, as plain numbers: the agent's registry reads them, nothing here knows how they are published.

/** Upper bounds in milliseconds; what is longer than the last falls into a bucket of its own. */
export const HOLD_BUCKETS_MS: readonly number[] = [0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 250, 500, 1000, 2500, 5000]

export interface Histogram {
  /** One for each bound and one for the rest; not cumulative. */
  readonly buckets: readonly number[]
  readonly count: number
  readonly sumMs: number
}

/** A picture of the counters at one moment. */
export interface Counters {
  readonly queries: { readonly udp: number; readonly tcp: number }
  readonly replies: Readonly<Record<string, number>>
  /** By reason. */
  readonly refused: Readonly<Record<string, number>>
  readonly truncated: number
  readonly malformed: number
  readonly dropped: number
  /** Octets and entropy of names that were refused: what a tunnel tried to move. */
  readonly refusedLabelOctets: number
  readonly refusedLabelBits: number
  /** Questions that joined one that was on its way already. */
  readonly coalesced: number
  readonly grantsWritten: number
  readonly rewritten: number
  readonly takenBack: number
  readonly evicted: number
  readonly withheld: number
  readonly stale: number
  readonly connections: { readonly accepted: number; readonly refused: number }
  /** From the upstream's answer to the grant read back: what holding costs. */
  readonly holds: Histogram
  /** From question to reply, for granted names. */
  readonly answers: Histogram
}

export class Histo {
  private readonly buckets = new Array<number>(HOLD_BUCKETS_MS.length + 1).fill(0)
  private count = 0
  private sumMs = 0

  add(ms: number): void {
    const at = HOLD_BUCKETS_MS.findIndex((bound) => ms <= bound)
    const index = at < 0 ? HOLD_BUCKETS_MS.length : at
    this.buckets[index] = (this.buckets[index] ?? 0) + 1
    this.count++
    this.sumMs += ms
  }

  read(): Histogram {
    return { buckets: [...this.buckets], count: this.count, sumMs: this.sumMs }
  }
}

/** Numbers by word. */
export class Tally {
  private readonly counts = new Map<string, number>()

  add(word: string, by = 1): void {
    this.counts.set(word, (this.counts.get(word) ?? 0) + by)
  }

  get(word: string): number {
    return this.counts.get(word) ?? 0
  }

  read(): Record<string, number> {
    return Object.fromEntries([...this.counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

export class CounterSet {
  readonly holds = new Histo()
  readonly answers = new Histo()
  readonly replies = new Tally()
  readonly refused = new Tally()
  /** Everything that is one number. */
  readonly plain = new Tally()

  read(): Counters {
    const { plain } = this
    return {
      queries: { udp: plain.get('udp'), tcp: plain.get('tcp') },
      replies: this.replies.read(),
      refused: this.refused.read(),
      truncated: plain.get('truncated'),
      malformed: plain.get('malformed'),
      dropped: plain.get('dropped'),
      refusedLabelOctets: plain.get('refusedLabelOctets'),
      refusedLabelBits: Math.round(plain.get('refusedLabelBits')),
      coalesced: plain.get('coalesced'),
      grantsWritten: plain.get('grantsWritten'),
      rewritten: plain.get('rewritten'),
      takenBack: plain.get('takenBack'),
      evicted: plain.get('evicted'),
      withheld: plain.get('withheld'),
      stale: plain.get('stale'),
      connections: { accepted: plain.get('accepted'), refused: plain.get('connectionRefused') },
      holds: this.holds.read(),
      answers: this.answers.read(),
    }
  }
}
