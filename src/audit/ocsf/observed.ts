// Observe mode in OCSF. A flow that passed although nothing grants it is Network Activity, Open, with the action Observed and
// the disposition Allowed: it went through, and `status_code` says what would have refused it. That a workspace begins or ends
// to be observed is a state of its device: At Risk while it lasts.

import type { FlowObserved, ObserveChange } from '../fact-observe.js'
import {
  agentActor,
  bundleNumbers,
  bundlePolicy,
  connection,
  endpoint,
  unmapped,
  workspaceDevice,
} from './attributes.js'
import { CLASS, type Draft, type OcsfContext, present, SEVERITY, whole, words } from './event.js'

export function observedFlowDraft(fact: FlowObserved): Draft {
  const { flow } = fact
  const reason = words(fact.reason) ?? 'unknown'
  const port = whole(flow.destinationPort)
  const to = `${words(flow.destination) ?? 'unknown'}${port === undefined ? '' : ` port ${port}`}`
  return {
    classUid: CLASS.networkActivity,
    activityId: 1,
    severityId: SEVERITY.low,
    log: 'sluice.enforcement',
    profiles: ['security_control', 'host'],
    members: {
      status_id: 1,
      action_id: 3, // Observed
      disposition_id: 1, // Allowed
      status_code: `observed.${reason}`,
      message: `observed ${words(flow.source) ?? 'unknown'} > ${to}: would be denied, ${reason}`,
      device: workspaceDevice(fact.workspace),
      src_endpoint: endpoint(flow.source, flow.sourcePort),
      dst_endpoint: endpoint(flow.destination, flow.destinationPort),
      connection_info: connection(flow),
      firewall_rule: present({
        uid: 'observe',
        type: words(fact.backend),
        version: fact.policy && String(fact.policy.generation),
      }),
      policy: fact.policy && bundlePolicy(fact.policy, true),
      count: whole(fact.count),
      start_time: whole(fact.firstAtMs),
      end_time: whole(fact.atMs),
      unmapped: unmapped({
        ...(fact.policy ? bundleNumbers(fact.policy) : {}),
        would_deny: reason,
        begun: whole(fact.begun),
        answered: whole(fact.answered),
        mixed_destinations: fact.mixed,
      }),
    },
  }
}

export function observeChangeDraft(fact: ObserveChange, context: OcsfContext): Draft {
  const begun = fact.kind === 'observe-begun'
  const untilMs = whole(fact.untilMs)
  const reason = words(fact.reason) ?? 'unknown'
  return {
    classUid: CLASS.configState,
    activityId: 1,
    severityId: begun ? SEVERITY.high : SEVERITY.informational,
    log: 'sluice.enforcement',
    profiles: ['security_control'],
    members: {
      status_id: 1,
      action_id: begun ? 3 : 1, // Observed
      disposition_id: begun ? 1 : 9, // Allowed, Restored
      status_code: begun ? 'observe.begun' : 'observe.ended',
      message: begun
        ? 'the workspace is observed: what nothing grants is let through and reported'
        : 'the workspace is no longer observed: what nothing grants is denied',
      actor: agentActor(context),
      device: workspaceDevice(fact.workspace),
      policy: bundlePolicy(fact.policy, true),
      state_id: 2, // Enabled: everything else is in force either way
      security_level_id: begun ? 2 : 1, // At Risk, Secure
      prev_security_level_id: begun ? 1 : 2,
      unmapped: unmapped({ ...bundleNumbers(fact.policy), reason, observe_until: untilMs }),
    },
  }
}
