// The receiver of security events of a running agent: its quarantines go through the loop like everybody's, in the lane that waits for
// nothing; what it tells goes to the trail, the log and the metrics.

import type { Loop } from '../agent/loop.js'
import type { RevocationMetrics } from '../agent/metrics-revocation.js'
import type { AgentNode } from '../agent/node.js'
import { type RevocationLine, RevocationService, type StreamStatus } from '../agent/revocation.js'
import type { Fact } from '../audit/fact.js'
import { hex } from '../base/bytes.js'
import type { Configured } from '../cli/host.js'
import type { Spoken } from './agent-lines.js'
import type { Surroundings } from './node.js'

export interface RevocationPlace {
  readonly around: Surroundings
  readonly store: AgentNode['store']
  readonly loop: Loop
  readonly monotonicMs: () => number
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  readonly emit: (facts: readonly Fact[]) => Promise<void>
  readonly say: (line: Spoken) => void
  readonly metrics: RevocationMetrics
}

export interface HostedRevocation {
  readonly status: () => readonly StreamStatus[]
  readonly stop: () => Promise<void>
}

/** Listens from then on. Throws AGENT_STORE_*, REVOCATION_LISTEN. */
export async function hostRevocation(
  config: NonNullable<Configured['revocation']>,
  { around, store, loop, monotonicMs, sleep, emit, say, metrics }: RevocationPlace,
): Promise<HostedRevocation> {
  const { nowMs, random } = around
  const service = new RevocationService(config, {
    ...{ store, nowMs, monotonicMs, sleep },
    chance: Math.random,
    random: () => hex(random(16)),
    quarantine: async (workspace, by, reason, commandId) => {
      // One that nothing carries at this moment is on record, and fenced before anything carries it again.
      await loop.run<'quarantine-set'>({ kind: 'quarantine-set', workspace, by, reason, commandId })
    },
    emit: (facts) => {
      metrics.told(facts)
      // The trail counts what it cannot write.
      void emit(facts)
    },
    say: (line) => {
      say(spoken(line))
    },
  })
  metrics.show(() => service.status(), nowMs)
  await service.start()
  return service
}

function spoken(line: RevocationLine): Spoken {
  const { kind, ...detail } = line
  if (kind === 'failed') return { level: 'warning', event: 'revocation-failed', detail }
  return { level: 'info', event: kind === 'listening' ? 'revocation' : 'signal', detail }
}
