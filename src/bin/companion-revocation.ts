// The companion's own ear for security events, beside the agent's: the same receiver, with the workspaces of this host as those that may
// be meant. What an event takes away is revoked here: fenced at the agent first, then its sessions, then its machine.

import type { RevocationMetrics } from '../agent/metrics-revocation.js'
import { EMPTY_AGENT_STATE } from '../agent/record.js'
import { type RevocationHost, type RevocationLine, RevocationService, type StreamStatus } from '../agent/revocation.js'
import type { Fact } from '../audit/fact.js'
import { hex } from '../base/bytes.js'
import type { Json } from '../base/canonical.js'
import { digestOfText } from '../base/digest.js'
import { causeChain } from '../base/fault.js'
import type { CompanionRequest } from '../cli/host-companion.js'
import type { CompanionConfig } from '../companion/config.js'
import { lifecycleFault } from '../companion/lifecycle/errors.js'
import { type Lifecycle, requestDigest } from '../companion/lifecycle/lifecycle.js'
import { preempts } from '../companion/lifecycle/operations.js'
import type { Clock } from '../companion/lifecycle/ports.js'
import { owedSteps } from '../companion/lifecycle/record.js'
import { readSubject } from '../plan/subject.js'
import type { Mapped } from '../revocation/model.js'
import type { Surroundings } from './node.js'

export interface EarPlace {
  readonly around: Surroundings
  readonly lifecycle: Lifecycle
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

/**
 * Undefined where none is configured. Trouble with it keeps no companion from running, whose kill switch does not need it: it is said,
 * the agent has its own, and it is begun as soon as it can be. What an earlier run left pending is taken up beside whatever else is done.
 * Never throws. */
export function listenForRevocations(
  { revocation, stateDirectory }: CompanionConfig,
  { around, lifecycle, clock, emit, say, metrics }: EarPlace,
): Ear | undefined {
  if (!revocation) return undefined
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
    quarantine: (workspace, by, reason, commandId) => revokeAt(lifecycle, workspace, by, reason, commandId, failed),
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
  return {
    status,
    stop: async () => {
      ending.abort()
      await begun
      await service?.stop()
    },
  }
}

/** Whose each workspace is: what its profile says, in the forms in which a transmitter may name a user or a session. */
export const mappedOf = (lifecycle: Lifecycle, issuers: readonly string[]): readonly Mapped[] =>
  lifecycle.all().map(({ workspace, profile }) => {
    const { user = '', session = '' } = profile ?? {}
    const forms = [
      { format: 'opaque', id: user },
      { format: 'email', email: user },
      ...[...new Set(issuers)].map((iss) => ({ format: 'iss_sub', iss, sub: user })),
    ]
    return {
      workspace,
      subjects: {
        user: forms.flatMap(identitiesOf),
        ...(session === '' ? {} : { session: identitiesOf({ format: 'opaque', id: session }) }),
      },
    }
  })

/** A user who is no address has no identity of that form. */
function identitiesOf(form: Json): readonly string[] {
  const subject = readSubject(form)
  return typeof subject !== 'string' && subject.kind === 'simple' ? subject.identities : []
}

/**
 * Resolves when the fence was read back, and throws while it was not: then the event is not acknowledged, and comes again. Sessions and
 * machines follow by themselves, so that no fence waits for the machine of another; a defect among them goes to `failed`. A kill that
 * is under way does more, and another revoke as much. */
export async function revokeAt(
  lifecycle: Lifecycle,
  workspace: string,
  by: string,
  reason: string,
  commandId: string,
  failed: (error: unknown) => void = () => undefined,
): Promise<void> {
  const requestId = `${commandId}-${digestOfText(workspace).slice(7, 19)}`
  const digest = requestDigest('revoke', { workspace, profile: null })
  const narrowing = () => {
    const run = lifecycle.underWay(workspace)
    return run && preempts(run.change) ? run : undefined
  }
  let run = narrowing()
  if (!run) {
    const before = lifecycle.answered(requestId, digest, workspace)
    if (!before) run = await lifecycle.begin({ requestId, change: 'revoke', workspace, by, reason, digest })
    run?.answer.catch(failed)
  }
  while (run) {
    if (await run.fenced) return
    const next = narrowing()
    if (!next || next === run) throw lifecycleFault('WORKSPACE_OWED', { workspace, steps: 'fence' })
    // It took the place of that one.
    run = next
  }
  const owed = owedSteps(lifecycle.known(workspace))
  if (owed.includes('fence')) throw lifecycleFault('WORKSPACE_OWED', { workspace, steps: owed.join(', ') })
}
