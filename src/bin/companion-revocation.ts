// The companion's own ear for security events, beside the agent's: the same receiver, with the workspaces of this host as those that may
// be meant (companion-subjects.ts). What an event takes away is fenced at the agent first; companion-deeds.ts has what follows.

import type { RevocationMetrics } from '../agent/metrics-revocation.js'
import { EMPTY_AGENT_STATE } from '../agent/record.js'
import { type RevocationHost, type RevocationLine, RevocationService, type StreamStatus } from '../agent/revocation.js'
import { mappedSessions } from '../agent/session-subjects.js'
import type { Fact } from '../audit/fact.js'
import { hex } from '../base/bytes.js'
import { causeChain } from '../base/fault.js'
import type { CompanionRequest } from '../cli/host-companion.js'
import type { BrokerDesk } from '../companion/broker-desk.js'
import type { CompanionConfig } from '../companion/config.js'
import type { KillHost } from '../companion/lifecycle/kill.js'
import type { Clock } from '../companion/lifecycle/ports.js'
import { takeAway } from './companion-deeds.js'
import { mappedOf, unnamedIn } from './companion-subjects.js'
import { closeRevoked } from './companion-sweep.js'
import type { Surroundings } from './node.js'

export interface EarPlace {
  readonly around: Surroundings
  readonly kills: KillHost
  readonly broker: Pick<BrokerDesk, 'sessions' | 'closeSession'>
  readonly clock: Clock
  readonly emit: (facts: readonly Fact[]) => Promise<void>
  readonly say: CompanionRequest['tell']
  readonly metrics: RevocationMetrics
}

export interface Ear {
  /** A stream is `unheard` while nobody listens. */
  readonly status: () => readonly StreamStatus[]
  readonly stop: () => Promise<void>
}

const AGAIN_MS = 1_000
/** What the agent's list of open sessions may take, behind the fences of an event. */
const SESSIONS_MS = 5_000
/** How long a session that was taken away may be open before it is noticed, when whoever asked for it is gone. */
const SWEEP_MS = 5_000

/**
 * Undefined where none is configured. Trouble with it keeps no companion from running, whose kill switch does not need it: it is said,
 * the agent has its own, and it is begun as soon as it can be. What an earlier run left pending is taken up beside whatever else is done.
 * Never throws. */
export function listenForRevocations(
  { revocation, stateDirectory }: CompanionConfig,
  { around, kills, broker, clock, emit, say, metrics }: EarPlace,
): Ear | undefined {
  if (!revocation) return undefined
  const { lifecycle } = kills
  const { nowMs, random } = around
  const failedAs = (why: string): void => {
    say({ atMs: nowMs(), level: 'warning', event: 'revocation-failed', detail: { why } })
  }
  const failed = (error: unknown): void => {
    failedAs(causeChain(error).join(': '))
  }
  const host: RevocationHost = {
    ...{ nowMs, monotonicMs: clock.monotonicMs, chance: Math.random, random: () => hex(random(16)) },
    sleep: (ms, wake) => clock.sleep(ms, wake),
    store: { directory: stateDirectory, load: () => EMPTY_AGENT_STATE, quarantines: () => [] },
    mapped: () =>
      mappedOf(
        lifecycle,
        revocation.streams.map(({ issuer }) => issuer),
      ),
    quarantine: (name, by, reason, commandId, event) =>
      takeAway(
        { kills, closeSession: broker.closeSession, failed },
        { name, by, reason, commandId, ...(event ? { event } : {}) },
      ),
    sessions: async () => mappedSessions(await broker.sessions('', SESSIONS_MS)),
    unnamed: () => unnamedIn(lifecycle),
    // What answers by delegations is the agents', and so is what could be given back.
    ...{ revokes: false, suspends: false },
    emit: (facts) => {
      metrics.told(facts)
      // The trail counts what it cannot write.
      void emit(facts)
    },
    say: (line: RevocationLine) => {
      const { kind, ...detail } = line
      say({ atMs: nowMs(), level: kind === 'failed' ? 'warning' : 'info', event: `revocation-${kind}`, detail })
    },
  }
  const ending = new AbortController()
  let service: RevocationService | undefined
  let trouble: string | undefined
  const begin = async (): Promise<void> => {
    for (;;) {
      try {
        const made = new RevocationService(revocation, host)
        await made.start()
        service = made
        return
      } catch (error) {
        const why = causeChain(error).join(': ')
        if (why !== trouble) failedAs(why)
        trouble = why
      }
      await clock.sleep(AGAIN_MS, ending.signal)
      if (ending.signal.aborted) return
    }
  }
  const unheard = (): readonly StreamStatus[] =>
    revocation.streams.map(({ name, kind }) => ({
      ...{ name, kind, standing: 'unheard', heardAtMs: 0, taken: 0, refused: 0 },
      ...(trouble === undefined ? {} : { error: trouble }),
    }))
  const status = () => service?.status() ?? unheard()
  metrics.show(status, nowMs, revocation.latencyMs)
  const begun = begin()
  const sweep = async (): Promise<void> => {
    let unswept: string | undefined
    while (!ending.signal.aborted) {
      try {
        await closeRevoked({ stateDirectory, broker, nowMs, withinMs: SESSIONS_MS })
        unswept = undefined
      } catch (error) {
        const why = causeChain(error).join(': ')
        if (why !== unswept) failedAs(why)
        unswept = why
      }
      await clock.sleep(SWEEP_MS, ending.signal)
    }
  }
  const swept = sweep()
  return {
    status,
    stop: async () => {
      ending.abort()
      await begun
      await service?.stop()
      await swept
    },
  }
}
