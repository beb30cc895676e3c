// When a running agent tends, looks and repairs, as a pure function of time and of what it has seen (design section 7). Time
// is a monotonic reading in milliseconds, never the wall clock: a clock that is set must not stop the sweeps.
//
// Somebody who keeps changing the tables gets a repair each time they do, but never a busy loop: failed repairs back off, and
// what the kernel announces is looked at after a short pause in which more of it gathers.

export interface PulseTerms {
  /** Between two looks at what is live. */
  readonly sweepMs: number
  /** Between two looks at what time asks for: expiry, staleness, lifts that are over. */
  readonly tendMs: number
  /** After the kernel announced a change: it rarely comes alone. */
  readonly settleMs: number
  /** The first pause after a repair that failed, doubled up to the longest. */
  readonly retryMs: number
  readonly longestMs: number
  /** Between two heartbeats in the trail. */
  readonly beatMs: number
}
export const PULSE: PulseTerms = {
  sweepMs: 5_000,
  tendMs: 1_000,
  settleMs: 20,
  retryMs: 250,
  longestMs: 30_000,
  beatMs: 60_000,
}

export interface Pulse {
  readonly tendAtMs: number
  readonly sweepAtMs: number
  readonly beatAtMs: number
  /** Repairs in a row that failed. */
  readonly failures: number
  /** A repair that failed is not tried again before; 0 after one that worked. */
  readonly notBeforeMs: number
}

/** How a sweep found what is live. */
export type Finding = 'nothing-held' | 'as-planned' | 'absent' | 'drifted'

export type PulseEvent =
  | { readonly kind: 'time' }
  /** A backend heard that somebody changed what the fence rests on. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'swept'; readonly finding: Finding }
  /** A backend could not be asked. */
  | { readonly kind: 'sweep-failed' }
  | { readonly kind: 'repaired' }
  | { readonly kind: 'repair-failed' }

export type PulseAct = 'tend' | 'sweep' | 'repair' | 'beat'

/** The agent has just started: everything is due but a heartbeat, since starting is told by itself. */
export const firstPulse = (nowMs: number, { beatMs }: PulseTerms = PULSE): Pulse => ({
  tendAtMs: nowMs,
  sweepAtMs: nowMs,
  beatAtMs: nowMs + beatMs,
  failures: 0,
  notBeforeMs: 0,
})

export interface PulseDecision {
  readonly pulse: Pulse
  readonly acts: readonly PulseAct[]
}

export function decidePulse(pulse: Pulse, event: PulseEvent, nowMs: number, terms: PulseTerms = PULSE): PulseDecision {
  switch (event.kind) {
    case 'time': {
      const acts: PulseAct[] = []
      const tend = nowMs >= pulse.tendAtMs
      const sweep = nowMs >= pulse.sweepAtMs
      if (tend) acts.push('tend')
      if (sweep) acts.push('sweep')
      const beat = nowMs >= pulse.beatAtMs
      if (beat) acts.push('beat')
      return {
        pulse: {
          ...pulse,
          tendAtMs: tend ? nowMs + terms.tendMs : pulse.tendAtMs,
          sweepAtMs: sweep ? nowMs + terms.sweepMs : pulse.sweepAtMs,
          beatAtMs: beat ? nowMs + terms.beatMs : pulse.beatAtMs,
        },
        acts,
      }
    }
    case 'changed': {
      const soon = Math.max(nowMs + terms.settleMs, pulse.notBeforeMs)
      return { pulse: { ...pulse, sweepAtMs: Math.min(pulse.sweepAtMs, soon) }, acts: [] }
    }
    case 'swept': {
      if (event.finding === 'nothing-held' || event.finding === 'as-planned') return { pulse: mended(pulse), acts: [] }
      if (nowMs >= pulse.notBeforeMs) return { pulse, acts: ['repair'] }
      return { pulse: { ...pulse, sweepAtMs: Math.min(pulse.sweepAtMs, pulse.notBeforeMs) }, acts: [] }
    }
    // What was put back is looked at again at once: a repair counts when a later look agrees.
    case 'repaired':
      return { pulse: { ...mended(pulse), sweepAtMs: Math.min(pulse.sweepAtMs, nowMs + terms.settleMs) }, acts: [] }
    case 'sweep-failed':
    case 'repair-failed': {
      const failures = pulse.failures + 1
      const waitMs = Math.min(terms.retryMs * 2 ** Math.min(failures - 1, 20), terms.longestMs)
      const at = nowMs + waitMs
      return { pulse: { ...pulse, failures, notBeforeMs: at, sweepAtMs: at }, acts: [] }
    }
  }
}

const mended = (pulse: Pulse): Pulse => ({ ...pulse, failures: 0, notBeforeMs: 0 })

/** How long nothing is due. */
export const idleMs = (pulse: Pulse, nowMs: number): number =>
  Math.max(0, Math.min(pulse.tendAtMs, pulse.sweepAtMs, pulse.beatAtMs) - nowMs)
