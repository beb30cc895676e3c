// Events about what a running agent finds and does by itself: drift and its repair, and the tenures of slots. Drift is a
// finding, because nobody but the agent has cause to touch what the fence rests on.

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
import { CLASS, type Draft, type OcsfContext, present, SEVERITY, whole, words } from './event.js'

/** Findings beyond it are counted. */
const MAX_FINDINGS = 16

/** 2004 Detection Finding, Create. */
export function driftDraft(fact: FactOf<'drift-found'>, context: OcsfContext): Draft {
  const title = 'What enforces the policy was changed from outside'
  const live = fact.live.map(({ backend, generation }) =>
    present({ backend: words(backend) ?? 'unknown', generation: generation === null ? undefined : whole(generation) }),
  )
  return {
    classUid: CLASS.detectionFinding,
    activityId: 1,
    severityId: SEVERITY.high,
    log: 'sluice.enforcement',
    profiles: ['security_control'],
    members: {
      status_id: 1, // New
      is_alert: true,
      confidence_id: 3, // High
      action_id: 99,
      action: 'Repaired',
      disposition_id: 15, // Detected
      status_code: 'drift',
      message: `${title}: ${words(fact.findings[0] ?? 'nothing is live') ?? ''}`,
      finding_info: { uid: context.eventUids[0], title, types: ['drift'] },
      evidences: [
        {
          data: present({
            findings: wordList(fact.findings.slice(0, MAX_FINDINGS)),
            count: fact.findings.length,
            live: live.slice(0, MAX_FINDINGS),
          }),
        },
      ],
      device: nodeDevice(context),
      policy: bundlePolicy(fact.policy, true),
      unmapped: unmapped(bundleNumbers(fact.policy)),
    },
  }
}

/** 5019: the plan is live again. */
export const repairedDraft = (fact: FactOf<'drift-repaired'>, context: OcsfContext): Draft => ({
  classUid: CLASS.configState,
  activityId: 1,
  severityId: SEVERITY.informational,
  log: 'sluice.enforcement',
  profiles: ['security_control'],
  members: {
    status_id: 1,
    action_id: 1,
    disposition_id: 9, // Restored
    status_code: 'drift.repaired',
    message: `generation ${String(fact.policy.generation)} is live again`,
    actor: agentActor(context),
    device: nodeDevice(context),
    policy: bundlePolicy(fact.policy, true),
    state_id: 2, // Enabled
    security_level_id: 1,
    prev_security_level_id: 3, // Compromised
    unmapped: unmapped({
      ...bundleNumbers(fact.policy),
      replaced: unmapped(bundleNumbers(fact.replaced)),
      elapsed_ms: whole(fact.elapsedMs),
    }),
  },
})

/** 5019: the workspace has its slot, or lost it. */
export function tenureDraft(fact: FactOf<'workspace-attached' | 'workspace-detached'>, context: OcsfContext): Draft {
  const attached = fact.kind === 'workspace-attached'
  const numbers = fact.policy ? bundleNumbers(fact.policy) : {}
  return {
    classUid: CLASS.configState,
    activityId: 1,
    severityId: SEVERITY.informational,
    log: 'sluice.enforcement',
    profiles: ['security_control'],
    members: {
      status_id: 1,
      action_id: attached ? 1 : 2,
      disposition_id: attached ? 1 : 4, // Allowed, Isolated
      status_code: attached ? 'workspace.attached' : 'workspace.detached',
      message: `the workspace ${attached ? 'took' : 'left'} its slot; the fence was read back first`,
      actor: agentActor(context),
      device: workspaceDevice(fact.workspace),
      policy: fact.policy && bundlePolicy(fact.policy, true),
      state_id: 2, // Enabled: the fence is in force either way
      security_level_id: 1,
      unmapped: unmapped({
        ...numbers,
        by: words(fact.by),
        lease_generation: whole(fact.leaseGeneration),
        elapsed_ms: whole(fact.elapsedMs),
      }),
    },
  }
}
