// How often each caller may ask, as token buckets: pure but for the map of callers, which is bounded. A caller that floods
// empties its own bucket and nobody else's. Quarantines and decisions have buckets of their own, so that other questions never use
// them up.

export interface BucketTerms {
  readonly perSecond: number
  readonly burst: number
}
export const QUESTIONS: BucketTerms = { perSecond: 50, burst: 200 }
/** One for each call of a tool or a request: what an agent and its tools may well come to, and a fraction of a processor. */
export const DECISIONS: BucketTerms = { perSecond: 500, burst: 1_000 }
export const URGENT: BucketTerms = { perSecond: 20, burst: 100 }

/** Identities come from certificates that an authority signed, so that nobody can invent many. */
const MAX_CALLERS = 4_096

interface Bucket {
  tokens: number
  atMs: number
}

export class Buckets {
  private readonly held = new Map<string, Bucket>()

  constructor(private readonly terms: BucketTerms) {}

  /** Takes one token; false when there is none. `nowMs` only grows. */
  take(caller: string, nowMs: number): boolean {
    const { perSecond, burst } = this.terms
    const bucket = this.held.get(caller) ?? this.begin(caller, nowMs)
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) * perSecond) / 1000)
    bucket.atMs = nowMs
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }

  private begin(caller: string, nowMs: number): Bucket {
    // The one that has asked first goes: maps keep their order.
    if (this.held.size >= MAX_CALLERS) for (const oldest of this.held.keys()) return this.replace(oldest, caller, nowMs)
    const bucket = { tokens: this.terms.burst, atMs: nowMs }
    this.held.set(caller, bucket)
    return bucket
  }

  private replace(oldest: string, caller: string, nowMs: number): Bucket {
    this.held.delete(oldest)
    return this.begin(caller, nowMs)
  }
}
