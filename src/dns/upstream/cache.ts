// Answers that may be given again. Keyed by the whole question and filled only with the answer to exactly that question: nothing
// that came along with it is ever used for another name. What is given has what is left of its time; with no whole second
// left it is not there. A record of zero seconds is never kept.

import type { Answer, Question } from '../model.js'

export interface CacheLimits {
  readonly entries: number
  readonly maxTtlSeconds: number
  /** Of answers without addresses (RFC 2308 section 5 would allow hours; an agent may be waiting for a new name). */
  readonly maxNegativeTtlSeconds: number
  /** Of SERVFAIL and REFUSED: long enough to keep a loop from hammering (RFC 9520 section 3.2 asks for 1 s at least). */
  readonly failureSeconds: number
}
export const CACHE_LIMITS: CacheLimits = {
  entries: 10_000,
  maxTtlSeconds: 300,
  maxNegativeTtlSeconds: 60,
  failureSeconds: 2,
}

interface Entry {
  readonly answer: Answer
  readonly storedMs: number
  readonly expiresMs: number
}

const keyOf = ({ name, type }: Question): string => `${type} ${name}`

/** How long an answer may be given again. */
export function lifetimeSeconds(answer: Answer, limits: CacheLimits): number {
  if (answer.outcome === 'failed' || answer.outcome === 'refused') return limits.failureSeconds
  const addresses = answer.records.some((record) => record.type !== 'CNAME')
  if (!addresses) return Math.min(answer.negativeTtlSeconds, limits.maxNegativeTtlSeconds)
  return answer.records.reduce((least, { ttlSeconds }) => Math.min(least, ttlSeconds), limits.maxTtlSeconds)
}

export class AnswerCache {
  // Oldest use first: a Map keeps the order of insertion, and a hit is inserted anew.
  private readonly held = new Map<string, Entry>()

  constructor(private readonly limits: CacheLimits = CACHE_LIMITS) {}

  get size(): number {
    return this.held.size
  }

  get(question: Question, nowMs: number): Answer | undefined {
    const key = keyOf(question)
    const entry = this.held.get(key)
    if (!entry) return undefined
    this.held.delete(key)
    // A clock that went back makes everything of unknown age.
    if (nowMs < entry.storedMs || entry.expiresMs - nowMs < 1_000) return undefined
    this.held.set(key, entry)
    return aged(entry.answer, Math.floor((nowMs - entry.storedMs) / 1_000))
  }

  put(question: Question, answer: Answer, nowMs: number): void {
    const key = keyOf(question)
    this.held.delete(key)
    const seconds = lifetimeSeconds(answer, this.limits)
    if (seconds < 1) return
    this.held.set(key, { answer, storedMs: nowMs, expiresMs: nowMs + seconds * 1_000 })
    if (this.held.size <= this.limits.entries) return
    for (const oldest of this.held.keys()) {
      this.held.delete(oldest)
      break
    }
  }

  clear(): void {
    this.held.clear()
  }
}

function aged(answer: Answer, seconds: number): Answer {
  if (seconds === 0) return answer
  return {
    ...answer,
    records: answer.records.map((record) => ({ ...record, ttlSeconds: Math.max(0, record.ttlSeconds - seconds) })),
    negativeTtlSeconds: Math.max(0, answer.negativeTtlSeconds - seconds),
  }
}
