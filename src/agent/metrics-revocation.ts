// The metrics of the receiver of security events: what came and what became of it, how long a fence took from the reception of its
// event, and how each stream stands. Streams are named by the configuration and outcomes are a closed list, so labels are bounded.

import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Fact } from '../audit/fact.js'
import type { StreamStatus } from './revocation.js'

export interface RevocationMetrics {
  /** Counts what is told. */
  readonly told: (facts: readonly Fact[]) => void
  /** From then on each scrape asks how the streams stand. */
  readonly show: (status: () => readonly StreamStatus[], nowMs: () => number, declaredMs: number) => void
}

export function revocationMetrics(registry: Registry): RevocationMetrics {
  const registers = [registry]
  const events = new Counter({
    name: 'sluice_revocation_events_total',
    help: 'Security events by stream and outcome; refused ones by their error code.',
    labelNames: ['stream', 'outcome'],
    registers,
  })
  const latency = new Histogram({
    name: 'sluice_revocation_duration_seconds',
    help: 'From the reception of a security event to the last fence read back.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300],
    labelNames: ['stream'],
    registers,
  })
  const late = new Counter({
    name: 'sluice_revocation_late_total',
    help: 'Security events whose fences took longer than this node declares.',
    labelNames: ['stream'],
    registers,
  })
  return {
    told: (facts) => {
      for (const fact of facts) {
        if (fact.kind === 'signal-taken') {
          events.inc({ stream: fact.stream, outcome: fact.outcome })
          if (fact.late) late.inc({ stream: fact.stream })
          if (fact.outcome === 'fenced' || fact.outcome === 'closed')
            latency.observe({ stream: fact.stream }, fact.elapsedMs / 1_000)
        }
        if (fact.kind === 'signal-refused') events.inc({ stream: fact.stream, outcome: fact.code }, fact.count)
      }
    },
    show: (status, nowMs, declaredMs) => {
      new Gauge({
        name: 'sluice_revocation_declared_seconds',
        help: 'The longest that a security event may take to its last fence, as this node declares.',
        registers,
      }).set(declaredMs / 1_000)
      gauge(registry, 'sluice_revocation_stream_heard', 'Whether a stream is heard: 1 or 0.', status, (at) =>
        at.standing === 'heard' ? 1 : 0,
      )
      gauge(
        registry,
        'sluice_revocation_stream_silence_seconds',
        'Since the newest event of a stream was issued.',
        status,
        (at) => Math.max(0, nowMs() - at.heardAtMs) / 1_000,
      )
    },
  }
}

function gauge(
  registry: Registry,
  name: string,
  help: string,
  status: () => readonly StreamStatus[],
  value: (at: StreamStatus) => number,
): void {
  new Gauge({
    ...{ name, help, labelNames: ['stream'], registers: [registry] },
    collect() {
      this.reset()
      for (const at of status()) this.set({ stream: at.name }, value(at))
    },
  })
}
