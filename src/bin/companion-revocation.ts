// The companion's own ear for security events, beside the agent's: the same receiver, with the workspaces of this host as those that may
// be meant. What an event takes away is revoked here: fenced at the agent first, then its sessions, then its machine.

import { EMPTY_AGENT_STATE } from '../agent/record.js'
import { type RevocationLine, RevocationService } from '../agent/revocation.js'
import type { Fact } from '../audit/fact.js'
import { hex } from '../base/bytes.js'
import type { Json } from '../base/canonical.js'
import { digestOfText } from '../base/digest.js'
import { causeChain, Fault } from '../base/fault.js'
import type { CompanionRequest } from '../cli/host-companion.js'
import type { CompanionConfig } from '../companion/config.js'
import { lifecycleFault } from '../companion/lifecycle/errors.js'
import type { Lifecycle } from '../companion/lifecycle/lifecycle.js'
import { preempts } from '../companion/lifecycle/operations.js'
import type { Clock } from '../companion/lifecycle/ports.js'
import { readSubject } from '../plan/subject.js'
import type { Mapped } from '../revocation/model.js'
import type { Surroundings } from './node.js'

export interface EarPlace {
  readonly around: Surroundings
  readonly lifecycle: Lifecycle
  readonly clock: Clock
  readonly emit: (facts: readonly Fact[]) => Promise<void>
  readonly say: CompanionRequest['tell']
}

/**
 * Undefined where none is configured. Trouble with it keeps no companion from running: it is said, and the agent has its own. What an
 * earlier run left pending is taken up beside whatever else is done. */
export function listenForRevocations(
  { revocation, stateDirectory }: CompanionConfig,
  { around, lifecycle, clock, emit, say }: EarPlace,
): { readonly stop: () => Promise<void> } | undefined {
  if (!revocation) return undefined
  const { nowMs, random } = around
  const service = new RevocationService(revocation, {
    ...{ nowMs, monotonicMs: clock.monotonicMs, chance: Math.random, random: () => hex(random(16)) },
    sleep: (ms, wake) => clock.sleep(ms, wake),
    store: { directory: stateDirectory, load: () => EMPTY_AGENT_STATE, quarantines: () => [] },
    mapped: () =>
      mappedOf(
        lifecycle,
        revocation.streams.map(({ issuer }) => issuer),
      ),
    quarantine: (workspace, by, reason, commandId) => revokeAt(lifecycle, workspace, by, reason, commandId),
    emit: (facts) => {
      // The trail counts what it cannot write.
      void emit(facts)
    },
    say: (line: RevocationLine) => {
      const { kind, ...detail } = line
      say({ atMs: nowMs(), level: kind === 'failed' ? 'warning' : 'info', event: `revocation-${kind}`, detail })
    },
  })
  const started = service.start().catch((error: unknown) => {
    say({ atMs: nowMs(), level: 'warning', event: 'revocation-failed', detail: { why: causeChain(error).join(': ') } })
  })
  return {
    stop: async () => {
      await started
      await service.stop()
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
 * Throws while it is not fenced: then the event is not acknowledged, and comes again. A kill that is under way does more, and
 * another revoke as much. */
export async function revokeAt(
  lifecycle: Lifecycle,
  workspace: string,
  by: string,
  reason: string,
  commandId: string,
): Promise<void> {
  const requestId = `${commandId}-${digestOfText(workspace).slice(7, 19)}`
  try {
    const underWay = lifecycle.underWay(workspace)
    if (underWay && preempts(underWay.change)) await underWay.answer
    else await lifecycle.operate({ requestId, change: 'revoke', workspace, by, reason })
  } catch (error) {
    if (!(error instanceof Fault && error.code === 'WORKSPACE_PREEMPTED')) throw error
    await lifecycle.underWay(workspace)?.answer
  }
  const { owed } = lifecycle.known(workspace)
  if (owed.includes('fence')) throw lifecycleFault('WORKSPACE_OWED', { workspace, steps: owed.join(', ') })
}
