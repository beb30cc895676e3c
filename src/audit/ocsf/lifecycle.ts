// Events about the life of workspaces on a host: created, started, stopped, baked anew, and above all ended because somebody took their
// authority away. One event an operation, with its steps and their times.

import type { LifecycleFact } from '../fact-lifecycle.js'
import { agentActor, unmapped, workspaceDevice } from './attributes.js'
import { CLASS, type Draft, type OcsfContext, present, SEVERITY, whole, words } from './event.js'

const MAX_STEPS = 32
/** Why a machine was ended that nobody asked to end is worth a look. */
const ALARMING = new Set(['kill', 'revoke', 'reclaim'])

/** 5019. */
export function lifecycleDraft(fact: LifecycleFact, context: OcsfContext): Draft {
  const { workspace, change, state, failure, owed, steps, elapsedMs } = fact
  const isWhole = !failure && owed.length === 0
  const runs = state === 'running'
  const receipt = steps.find((step) => step.receipt !== undefined)?.receipt
  const later = fact.owedSinceMs === undefined ? '' : ', later'
  return {
    classUid: CLASS.configState,
    activityId: 1,
    severityId: ALARMING.has(change) ? SEVERITY.medium : isWhole ? SEVERITY.informational : SEVERITY.low,
    log: 'sluice.enforcement',
    profiles: ['security_control'],
    members: {
      status_id: isWhole ? 1 : 2,
      action_id: runs ? 1 : 2,
      disposition_id: runs ? 1 : 4, // Allowed, Isolated
      status_code: `workspace.${words(change) ?? 'unknown'}`,
      message: failure
        ? `${words(change) ?? ''} of the workspace failed: ${words(failure.say) ?? ''}`
        : `the workspace is ${words(state) ?? ''} after ${words(change) ?? ''}${later}`,
      actor: agentActor(context),
      device: workspaceDevice(workspace),
      state_id: runs ? 2 : 1, // Enabled, Disabled
      security_level_id: 1,
      unmapped: unmapped(
        present({
          state: words(state),
          by: words(fact.by),
          reason: words(fact.reason),
          request_id: words(fact.requestId),
          user: words(fact.user),
          image: words(fact.image),
          lease_generation: whole(fact.leaseGeneration),
          code: failure && words(failure.code),
          owed: words(owed.slice(0, MAX_STEPS).join(' ')),
          steps: words(
            steps
              .slice(0, MAX_STEPS)
              .map(({ step, outcome, elapsedMs: ms }) => `${step} ${outcome} ${whole(ms)} ms`)
              .join(', '),
          ),
          elapsed_ms: whole(elapsedMs),
          owed_since: fact.owedSinceMs === undefined ? undefined : whole(fact.owedSinceMs),
          receipt: receipt && words(receipt),
        }),
      ),
    },
  }
}
