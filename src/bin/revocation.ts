// The receiver of security events of a running agent: its quarantines go through the loop like everybody's, in the lane that waits for
// nothing; what it tells goes to the trail, the log and the metrics. Trouble with it keeps no agent from starting: the fence stands
// without it, and it is begun as soon as it can be.

import type { Loop } from '../agent/loop.js'
import type { RevocationMetrics } from '../agent/metrics-revocation.js'
import type { AgentNode } from '../agent/node.js'
import { type RevocationHost, type RevocationLine, RevocationService, type StreamStatus } from '../agent/revocation.js'
import { sessionMeant } from '../agent/session-subjects.js'
import type { Fact } from '../audit/fact.js'
import { hex } from '../base/bytes.js'
import { causeChain } from '../base/fault.js'
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

const AGAIN_MS = 1_000

/** Listens from then on, or as soon as it can. Never throws. */
export async function hostRevocation(
  config: NonNullable<Configured['revocation']>,
  { around, store, loop, monotonicMs, sleep, emit, say, metrics }: RevocationPlace,
): Promise<HostedRevocation> {
  const { nowMs, random } = around
  const host: RevocationHost = {
    ...{ store, nowMs, monotonicMs, sleep },
    chance: Math.random,
    random: () => hex(random(16)),
    quarantine: async (workspace, by, reason, commandId) => {
      const session = sessionMeant(workspace)
      if (session) {
        await loop.run<'session-close'>({ kind: 'session-close', by, commandId, ...session, revoked: true })
        return
      }
      // One that nothing carries at this moment is on record, and fenced before anything carries it again.
      const { told } = await loop.fenceNow({ kind: 'quarantine-set', workspace, by, reason, commandId })
      // Its receipt is for whoever reads the folder; a node that could not keep one has fenced all the same.
      told.catch(() => undefined)
    },
    emit: (facts) => {
      metrics.told(facts)
      // The trail counts what it cannot write.
      void emit(facts)
    },
    say: (line) => {
      say(spoken(line))
    },
  }
  const ending = new AbortController()
  let service: RevocationService | undefined
  let trouble: string | undefined
  const begin = async (): Promise<void> => {
    try {
      const made = new RevocationService(config, host)
      await made.start()
      service = made
    } catch (error) {
      const why = causeChain(error).join(': ')
      if (why !== trouble) host.say({ kind: 'failed', stream: '', why })
      trouble = why
    }
  }
  const keepTrying = async (): Promise<void> => {
    while (!service && !ending.signal.aborted) {
      await sleep(AGAIN_MS, ending.signal)
      if (!ending.signal.aborted) await begin()
    }
  }
  const status = (): readonly StreamStatus[] => service?.status() ?? unbegun(config, trouble ?? '')
  metrics.show(status, nowMs, config.latencyMs)
  await begin()
  const trying = keepTrying()
  return {
    status,
    stop: async () => {
      ending.abort()
      await trying
      await service?.stop()
    },
  }
}

/** Nobody listens to them. */
const unbegun = ({ streams }: NonNullable<Configured['revocation']>, error: string): readonly StreamStatus[] =>
  streams.map(({ name, kind }) => ({ name, kind, standing: 'silent', heardAtMs: 0, taken: 0, refused: 0, error }))

function spoken(line: RevocationLine): Spoken {
  const { kind, ...detail } = line
  if (kind === 'failed') return { level: 'warning', event: 'revocation-failed', detail }
  return { level: 'info', event: kind === 'listening' ? 'revocation' : 'signal', detail }
}
