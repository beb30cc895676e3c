// When a sink is tried again, and when that it fails is an outage worth an event: as a pure function of time and of what
// happened. A try that fails is no news, a sink that fails for a while is told once when it begins and once when it ends, so
// that a sink that fails every other time does not fill the trail that it is to be sent.

export interface OutageTerms {
  /** The first pause after a failure, doubled up to the longest; the pause drawn is between half of it and all of it. */
  readonly retryMs: number
  readonly longestMs: number
  /** Failing for that long is an outage. */
  readonly outageMs: number
}

export interface Standing {
  /** Failures in a row. */
  readonly failures: number
  /** Of the first of them. */
  readonly sinceMs: number
  /** The trail was told. */
  readonly told: boolean
}
export const STANDING: Standing = { failures: 0, sinceMs: 0, told: false }

export interface Verdict {
  readonly standing: Standing
  readonly waitMs: number
  /** What the trail is to be told now. */
  readonly tell?: { readonly kind: 'begun' } | { readonly kind: 'ended'; readonly elapsedMs: number }
}

/** `chance` in [0, 1); `askedMs`: the receiver said for how long it wants to be left alone. */
export function failed(
  { failures, sinceMs, told }: Standing,
  nowMs: number,
  chance: number,
  terms: OutageTerms,
  askedMs = 0,
): Verdict {
  const since = failures === 0 ? nowMs : sinceMs
  const begins = !told && nowMs - since >= terms.outageMs
  const full = Math.min(terms.retryMs * 2 ** Math.min(failures, 30), terms.longestMs)
  const standing = { failures: failures + 1, sinceMs: since, told: told || begins }
  const waitMs = Math.max(full / 2 + (full / 2) * chance, Math.min(askedMs, terms.longestMs))
  return { standing, waitMs, ...(begins ? { tell: { kind: 'begun' } } : {}) }
}

export function worked({ sinceMs, told }: Standing, nowMs: number): Verdict {
  return {
    standing: STANDING,
    waitMs: 0,
    ...(told ? { tell: { kind: 'ended', elapsedMs: Math.max(0, nowMs - sinceMs) } } : {}),
  }
}
