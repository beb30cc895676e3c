// API Activity (6003) for an action that the policy denies: Unauthorized, with what was to be done as the operation and what it was
// about as the resource. The trace id of the question is the event's correlation. untrusted: operation, resource, program, agent
// and trace ids, which whoever asked has chosen.

import type { ActionDenied } from '../fact-actions.js'
import { bundleNumbers, bundlePolicy, unmapped, wordList, workspaceDevice } from './attributes.js'
import { CLASS, type Draft, type OcsfContext, present, SEVERITY, whole, words } from './event.js'

/** Create, Update, Delete; what is not here is Read: it would have looked at something, or begun it. */
const ACTIVITY: ReadonlyMap<string, number> = new Map([
  ['POST', 1],
  ['create', 1],
  ['mkdir', 1],
  ['PUT', 3],
  ['PATCH', 3],
  ['write', 3],
  ['open-write', 3],
  ['rename-to', 3],
  ['DELETE', 4],
  ['unlink', 4],
  ['rmdir', 4],
])
const READ = 2

/** Reasons behind which somebody may be trying: records that are not what they say, and places that nothing opens. */
const ATTEMPTS: ReadonlySet<string> = new Set([
  'rolled-back',
  'broken-chain',
  'untrusted-issuer',
  'not-narrower',
  'other-actor',
  'agent-revoked',
  'delegation-revoked',
  'never-address',
  'blocked-name',
])

export function deniedActionDraft(fact: ActionDenied, context: OcsfContext): Draft {
  const { workspace, policy, traceIds } = fact
  const reason = words(fact.reason) ?? 'unknown'
  const operation = words(fact.operation) ?? 'unknown'
  const resource = words(fact.resource) ?? 'unknown'
  const correlation = words(traceIds[0])
  return {
    classUid: CLASS.apiActivity,
    activityId: ACTIVITY.get(fact.operation) ?? READ,
    severityId: ATTEMPTS.has(fact.reason) ? SEVERITY.high : SEVERITY.medium,
    log: 'sluice.enforcement',
    profiles: ['security_control', 'host'],
    ...(correlation === undefined ? {} : { correlationUid: correlation }),
    members: {
      status_id: 2,
      action_id: 2,
      disposition_id: 26, // Unauthorized
      status_code: reason,
      message: `denied ${operation} ${resource}: ${reason}`,
      actor: present({ app_name: 'agent', app_uid: words(fact.agent) ?? words(workspace.workspace) ?? 'unknown' }),
      api: present({ operation, service: { name: 'sluice.v1alpha1.Decision', uid: words(context.reporter.uid) } }),
      src_endpoint: present({
        uid: words(workspace.workspace) ?? 'unknown',
        interface_name: words(workspace.interface),
      }),
      resources: [present({ name: resource, type: fact.action })],
      device: workspaceDevice(workspace),
      firewall_rule: present({
        uid: words(fact.clause) ?? 'default-deny',
        type: 'decision',
        version: String(policy.generation),
      }),
      policy: bundlePolicy(policy, true),
      count: whole(fact.count),
      start_time: whole(fact.firstAtMs),
      end_time: whole(fact.atMs),
      unmapped: unmapped({
        ...bundleNumbers(policy),
        clause: words(fact.clause),
        task: words(fact.task),
        executable: words(fact.executable),
        mixed_resources: fact.mixed,
        trace_ids: traceIds.length > 1 ? wordList(traceIds) : undefined,
      }),
    },
  }
}
