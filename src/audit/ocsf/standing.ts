// Events about the standing of a workspace that no packet and no quarantine command gives cause for: suspended because its
// bundle does not hold any more, resumed, and break-glass, which is Critical whatever it does, because somebody used the
// key that is meant for the worst day.

import type { FactOf } from '../fact.js'
import {
  agentActor,
  bundleNumbers,
  bundlePolicy,
  nodeDevice,
  unmapped,
  wordList,
  workspaceDevice,
} from './attributes.js'
import { CLASS, type Draft, type OcsfContext, SEVERITY, whole, words } from './event.js'

/** 5019: the state of the workspace's device since now. */
export function standingDraft(fact: FactOf<'workspace-suspended' | 'workspace-resumed'>, context: OcsfContext): Draft {
  const suspended = fact.kind === 'workspace-suspended'
  const state = [{ state_id: 3 }] // In network quarantine
  const reason = words(fact.reason) ?? 'unknown'
  return {
    classUid: CLASS.configState,
    activityId: 1,
    severityId: suspended ? SEVERITY.high : SEVERITY.informational,
    log: 'sluice.enforcement',
    profiles: ['security_control'],
    members: {
      status_id: 1,
      action_id: suspended ? 2 : 1,
      disposition_id: suspended ? 3 : 9, // Quarantined, Restored
      status_code: reason,
      message: suspended
        ? `the workspace is suspended: its bundle is ${reason}`
        : 'the workspace is no longer suspended',
      actor: agentActor(context),
      device: workspaceDevice(fact.workspace),
      policy: bundlePolicy(fact.policy, true),
      state_id: 2, // Enabled: the fence is in force either way
      security_level_id: suspended ? 2 : 1,
      prev_security_level_id: suspended ? 1 : 2,
      security_states: suspended ? state : undefined,
      prev_security_states: suspended ? undefined : state,
      unmapped: unmapped({ ...bundleNumbers(fact.policy), reason }),
    },
  }
}

/** 2004 Detection Finding, Create. The events of the quarantine itself follow it. */
export function breakglassDraft(fact: FactOf<'breakglass-used'>, context: OcsfContext): Draft {
  const lifts = fact.action === 'lift'
  const title = lifts ? 'Break-glass: a quarantine was lifted' : 'Break-glass: a workspace was quarantined'
  const numbers = fact.policy ? bundleNumbers(fact.policy) : {}
  return {
    classUid: CLASS.detectionFinding,
    activityId: 1,
    severityId: SEVERITY.critical,
    log: 'sluice.enforcement',
    profiles: ['security_control'],
    members: {
      status_id: 1, // New
      is_alert: true,
      confidence_id: 3, // High
      action_id: lifts ? 1 : 2,
      disposition_id: lifts ? 9 : 4, // Restored, Isolated
      status_code: 'breakglass',
      message: `${title}: ${words(fact.reason) ?? 'no reason given'}`,
      finding_info: { uid: context.eventUids[0], title, types: ['breakglass'] },
      evidences: [{ data: { reason: words(fact.reason) ?? 'no reason given', until: whole(fact.untilMs) ?? 0 } }],
      device: workspaceDevice(fact.workspace),
      policy: fact.policy && bundlePolicy(fact.policy, true),
      unmapped: unmapped({ ...numbers, signers: wordList(fact.signers), until_ms: whole(fact.untilMs) }),
    },
  }
}

/** 2004 Detection Finding, Create: whoever can do this can let an old bundle in. */
export function recoveredDraft(fact: FactOf<'node-recovered'>, context: OcsfContext): Draft {
  const what = words(fact.what) ?? 'unknown'
  const reason = words(fact.reason) ?? 'no reason given'
  const title = `The ${what} of a node was recovered by an operator`
  return {
    classUid: CLASS.detectionFinding,
    activityId: 1,
    severityId: SEVERITY.critical,
    log: 'sluice.policy',
    profiles: ['security_control'],
    members: {
      status_id: 1, // New
      is_alert: true,
      confidence_id: 3, // High
      action_id: 1,
      disposition_id: 1, // Allowed
      status_code: 'recovered',
      message: `${title}: ${reason}`,
      finding_info: { uid: context.eventUids[0], title, types: ['recovered'] },
      evidences: [{ data: { what, by: words(fact.by) ?? 'unknown', reason } }],
      device: nodeDevice(context),
      unmapped: unmapped({ what, by: words(fact.by) }),
    },
  }
}
