// How long an event takes from its making to the moment in which a sink has it, against what the companion declares. Counts only, in
// buckets: the times are those of the events, which are told by the clock of the agent's machine.

import { timeOf } from '../audit/sinks/http-body.js'
import type { SinkLine } from '../audit/sinks/sink.js'

/** Upper bounds, in milliseconds; above the last is a bucket of its own. */
export const BOUNDS_MS = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000] as const

export interface Latency {
  readonly agent: string
  readonly sink: string
  /** One for each bound, and one for what took longer; not cumulative. */
  readonly counts: readonly number[]
  readonly events: number
  readonly sumMs: number
  readonly maxMs: number
  /** Events that took longer than declared. */
  readonly late: number
}

export function measureExport(declaredMs: number, nowMs: () => number) {
  const measured = new Map<string, Latency>()
  return {
    declaredMs,
    settled: (agent: string, sink: string, lines: readonly SinkLine[]): void => {
      const key = JSON.stringify([agent, sink])
      const before = measured.get(key) ?? { ...NOTHING, agent, sink }
      const counts = [...before.counts]
      let { sumMs, maxMs, late } = before
      const now = nowMs()
      for (const { text } of lines) {
        const took = Math.max(0, now - timeOf(text))
        const bucket = BOUNDS_MS.findIndex((bound) => took <= bound)
        const at = bucket < 0 ? BOUNDS_MS.length : bucket
        counts[at] = (counts[at] ?? 0) + 1
        sumMs += took
        maxMs = Math.max(maxMs, took)
        if (took > declaredMs) late++
      }
      measured.set(key, { agent, sink, counts, events: before.events + lines.length, sumMs, maxMs, late })
    },
    read: (): readonly Latency[] => [...measured.values()],
  }
}

const NOTHING = { counts: [...BOUNDS_MS, 0].map(() => 0), events: 0, sumMs: 0, maxMs: 0, late: 0 }
