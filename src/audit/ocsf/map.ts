// Fact in, OCSF 1.8.0 events out: one row a kind, so that a kind without a row does not compile. A fact whose second event matters to
// people who watch findings or device states gives two: the attack behind a refusal, the state behind a quarantine, the
// generation behind an activation.

import type { Fact, FactOf } from '../fact.js'
import { deniedActionDraft } from './actions.js'
import {
  agentActor,
  bundleEntity,
  bundleNumbers,
  bundlePolicy,
  endsOf,
  flowWords,
  nodeDevice,
  unmapped,
  wordList,
  workspaceDevice,
} from './attributes.js'
import {
  CLASS,
  type Draft,
  eventOf,
  type Members,
  type OcsfContext,
  type OcsfEvent,
  present,
  SEVERITY,
  whole,
  words,
} from './event.js'
import { brokenTrailDraft } from './exported.js'
import { deniedFileDraft } from './files.js'
import { detectionDraft } from './finding.js'
import { lifecycleDraft } from './lifecycle.js'
import { evictedNameDraft, grantedNameDraft, refusedNameDraft } from './names.js'
import { observeChangeDraft, observedFlowDraft } from './observed.js'
import { suspectedProcessDraft } from './processes.js'
import { refusedSignalDraft, streamDraft, takenSignalDrafts } from './revocation.js'
import { sessionDraft } from './sessions.js'
import { breakglassDraft, recoveredDraft, standingDraft } from './standing.js'
import { driftDraft, repairedDraft, tenureDraft } from './tenure.js'
import { closedDraft, damagedDraft, heartbeatDraft, lostDraft, retiredDraft, sinkDraft } from './trail.js'

export const MAX_EVENTS_PER_FACT = 2

/** One or two events for a fact, in the order in which they happened. Pure and total: any text in a fact is accepted. */
export function toOcsf(fact: Fact, context: OcsfContext): readonly OcsfEvent[] {
  const [first, second] = DRAFTS[fact.kind](fact as never, context)
  const event = eventOf(first, fact.atMs, context, 0)
  return second === undefined ? [event] : [event, eventOf(second, fact.atMs, context, 1)]
}

type Mapper<K extends Fact['kind']> = (
  fact: FactOf<K>,
  context: OcsfContext,
) => readonly [Draft] | readonly [Draft, Draft]

const ALLOWED = { action_id: 1, disposition_id: 1 }
const SUCCESS = { status_id: 1 }
const FAILURE = { status_id: 2 }

/** Reasons that no honest program in a workspace gives cause for: somebody tried the fence. A finding stands beside them. */
const ATTEMPTS: ReadonlyMap<string, string> = new Map([
  ['spoof', 'Packet with a source that is not the workspace'],
  ['link-layer', 'Frame that a workspace may not send'],
  ['fragment', 'Fragmented packet'],
  ['malformed', 'Packet that cannot be read in full'],
])

const DRAFTS: { readonly [K in Fact['kind']]: Mapper<K> } = {
  'bundle-verified': (fact, context) => [
    policyDraft(1, SEVERITY.informational, {
      ...SUCCESS,
      action_id: 1,
      disposition_id: 8, // Approved
      status_code: 'policy.bundle_verified',
      message: `bundle ${words(fact.policy.bundleId) ?? ''} revision ${words(fact.policy.policyRevision) ?? ''} verified`,
      actor: agentActor(context),
      device: nodeDevice(context),
      entity: bundleEntity(fact.policy, false),
      policy: bundlePolicy(fact.policy, false),
      unmapped: unmapped({
        ...bundleNumbers(fact.policy),
        channel: words(fact.channel),
        signers: wordList(fact.signers),
      }),
    }),
  ],

  'bundle-refused': (fact, context) => {
    const { bundleId, digest, policyRevision } = fact.offered
    const offered = {
      ...(bundleId === undefined ? {} : { bundleId }),
      ...(digest === undefined ? {} : { bundleDigest: digest }),
      ...(policyRevision === undefined ? {} : { policyRevision }),
    }
    const code = words(fact.code) ?? 'unknown'
    const detail = present({
      reason_code: code,
      reason: words(fact.say),
      offered: unmapped({ bundle_id: words(bundleId), ...bundleNumbers(offered) }),
      held: fact.held && present(bundleNumbers(fact.held)),
    })
    const refusal = policyDraft(1, fact.attack ? SEVERITY.critical : SEVERITY.high, {
      ...FAILURE,
      action_id: 2,
      disposition_id: 25, // Rejected
      status_code: code,
      status_detail: words(fact.say),
      message: `bundle refused: ${code}`,
      actor: agentActor(context),
      device: nodeDevice(context),
      entity: bundleEntity(offered, false),
      entity_result: fact.held && bundleEntity(fact.held, true),
      policy: bundlePolicy(offered, false),
      // The numbers are of the policy that stays live; the offered ones are in `policy`.
      unmapped: fact.held && unmapped(bundleNumbers(fact.held)),
    })
    if (!fact.attack || fact.told) return [refusal]
    return [
      refusal,
      findingDraft('sluice.policy', SEVERITY.critical, context, {
        title: 'Policy bundle refused as forged, replayed or rolled back',
        reason: code,
        typeUid: CLASS.entityManagement * 100 + 1,
        disposition: 25,
        evidence: detail,
        device: nodeDevice(context),
        policy: bundlePolicy(offered, false),
        unmapped: fact.held && unmapped(bundleNumbers(fact.held)),
      }),
    ]
  },

  'bundle-activated': (fact, context) => [
    policyDraft(10, fact.unseen ? SEVERITY.high : SEVERITY.informational, {
      ...SUCCESS,
      ...ALLOWED,
      status_code: 'policy.bundle_activated',
      message: `bundle ${words(fact.policy.bundleId) ?? ''} active as generation ${String(fact.policy.generation)}${unread(fact)}`,
      actor: agentActor(context),
      device: nodeDevice(context),
      entity: bundleEntity(fact.policy, true),
      policy: bundlePolicy(fact.policy, true),
      unmapped: unmapped({
        ...bundleNumbers(fact.policy),
        backend: words(fact.backend),
        replaced: fact.replaced && unmapped(bundleNumbers(fact.replaced)),
        not_read_back: words(fact.unseen),
      }),
    }),
    {
      classUid: CLASS.configState,
      activityId: 1,
      severityId: fact.unseen ? SEVERITY.high : SEVERITY.informational,
      log: 'sluice.policy',
      profiles: ['security_control'],
      members: {
        ...SUCCESS,
        message: `generation ${String(fact.policy.generation)} is live${unread(fact)}`,
        actor: agentActor(context),
        device: nodeDevice(context),
        policy: bundlePolicy(fact.policy, true),
        state_id: 2, // Enabled
        security_level_id: fact.unseen ? 2 : 1, // At Risk, Secure
        unmapped: unmapped({ ...bundleNumbers(fact.policy), backend: words(fact.backend) }),
      },
    },
  ],

  'flow-allowed': (fact) => [
    {
      classUid: CLASS.networkActivity,
      activityId: fact.traffic === undefined ? 1 : 6, // Open, or Traffic when counters moved
      severityId: SEVERITY.informational,
      log: 'sluice.enforcement',
      profiles: ['security_control', 'host'],
      members: {
        ...SUCCESS,
        ...ALLOWED,
        message: `allowed ${flowWords(fact.flow)}: ${words(fact.clauseName) ?? words(fact.clause) ?? 'unnamed'}`,
        device: workspaceDevice(fact.workspace),
        ...endsOf(fact.flow),
        firewall_rule: present({
          uid: words(fact.grant) ?? 'unknown',
          name: words(fact.clauseName),
          type: words(fact.backend),
          version: String(fact.policy.generation),
          match_details: wordList([fact.clause]),
        }),
        policy: bundlePolicy(fact.policy, true),
        traffic: fact.traffic && present({ packets: whole(fact.traffic.packets), bytes: whole(fact.traffic.bytes) }),
        unmapped: unmapped({ ...bundleNumbers(fact.policy), clause: words(fact.clause) }),
      },
    },
  ],

  'flow-observed': (fact) => [observedFlowDraft(fact)],
  'observe-begun': (fact, context) => [observeChangeDraft(fact, context)],
  'observe-ended': (fact, context) => [observeChangeDraft(fact, context)],
  'file-denied': (fact) => [deniedFileDraft(fact)],
  'action-denied': (fact, context) => [deniedActionDraft(fact, context)],
  'process-suspected': (fact) => [suspectedProcessDraft(fact)],

  'flow-denied': (fact, context) => {
    const attempt = ATTEMPTS.get(fact.reason)
    const reason = words(fact.reason) ?? 'unknown'
    const activityId = attempt === undefined ? 1 : 5 // Open, or Refuse for an attempt on the fence
    const disposition = fact.refusal === 'dropped' ? 6 : fact.flow.protocol === 6 ? 21 : 2 // Dropped, Reset, Blocked
    const policy = fact.policy && bundlePolicy(fact.policy, true)
    const numbers = fact.policy && bundleNumbers(fact.policy)
    const device = workspaceDevice(fact.workspace)
    const denial: Draft = {
      classUid: CLASS.networkActivity,
      activityId,
      severityId: attempt === undefined ? SEVERITY.medium : SEVERITY.high,
      log: 'sluice.enforcement',
      profiles: ['security_control', 'host'],
      members: {
        ...FAILURE,
        action_id: 2,
        disposition_id: disposition,
        status_code: reason,
        message: `denied ${flowWords(fact.flow)}: ${reason}`,
        device,
        ...endsOf(fact.flow),
        firewall_rule: present({
          uid: 'default-deny',
          type: words(fact.backend),
          version: fact.policy && String(fact.policy.generation),
        }),
        policy,
        count: whole(fact.count),
        start_time: whole(fact.firstAtMs),
        end_time: whole(fact.atMs),
        unmapped: unmapped({ ...numbers, mixed_destinations: fact.mixed }),
      },
    }
    if (attempt === undefined) return [denial]
    return [
      denial,
      findingDraft('sluice.enforcement', SEVERITY.high, context, {
        title: attempt,
        reason,
        typeUid: CLASS.networkActivity * 100 + activityId,
        disposition,
        evidence: { reason_code: reason, count: whole(fact.count) },
        endpoints: endsOf(fact.flow),
        device,
        policy,
        unmapped: numbers && unmapped(numbers),
      }),
    ]
  },

  'quarantine-set': (fact) => quarantineDrafts(fact, true),
  'quarantine-lifted': (fact) => quarantineDrafts(fact, false),

  'workspace-suspended': (fact, context) => [standingDraft(fact, context)],
  'workspace-resumed': (fact, context) => [standingDraft(fact, context)],
  'drift-found': (fact, context) => [driftDraft(fact, context)],
  'drift-repaired': (fact, context) => [repairedDraft(fact, context)],
  'workspace-attached': (fact, context) => [tenureDraft(fact, context)],
  'workspace-detached': (fact, context) => [tenureDraft(fact, context)],
  'session-opened': (fact, context) => [sessionDraft(fact, context)],
  'session-ended': (fact, context) => [sessionDraft(fact, context)],
  'workspace-changed': (fact, context) => [lifecycleDraft(fact, context)],
  'breakglass-used': (fact, context) => [breakglassDraft(fact, context)],
  'node-recovered': (fact, context) => [recoveredDraft(fact, context)],

  'name-refused': (fact) => [refusedNameDraft(fact)],
  'name-granted': (fact) => [grantedNameDraft(fact)],
  'name-evicted': (fact) => [evictedNameDraft(fact)],

  finding: (fact, context) => [detectionDraft(fact, context)],

  'signal-taken': takenSignalDrafts,
  'signal-refused': (fact) => [refusedSignalDraft(fact)],
  'stream-silent': (fact, context) => [streamDraft(fact, context)],
  'stream-heard': (fact, context) => [streamDraft(fact, context)],

  'audit-lost': (fact, context) => [lostDraft(fact, context)],
  'trail-broken': (fact, context) => [brokenTrailDraft(fact, context)],
  'journal-closed': (fact, context) => [closedDraft(fact, context)],
  'journal-damaged': (fact, context) => [damagedDraft(fact, context)],
  'journal-retired': (fact, context) => [retiredDraft(fact, context)],
  heartbeat: (fact, context) => [heartbeatDraft(fact, context)],
  'sink-failing': (fact, context) => [sinkDraft(fact, context)],
  'sink-recovered': (fact, context) => [sinkDraft(fact, context)],
}

const unread = ({ unseen }: FactOf<'bundle-activated'>): string => (unseen ? ', and was not read back' : '')

/** 3004 Entity Management. */
const policyDraft = (activityId: number, severityId: number, members: Members): Draft => ({
  classUid: CLASS.entityManagement,
  activityId,
  severityId,
  log: 'sluice.policy',
  profiles: ['security_control', 'host'],
  members,
})

interface Finding {
  readonly title: string
  readonly reason: string
  /** Type of the event that it stands beside: the first of the same fact. */
  readonly typeUid: number
  readonly disposition: number
  readonly evidence: Members
  readonly endpoints?: Members
  readonly device: Members
  readonly policy: Members | undefined
  readonly unmapped: Members | undefined
}

/** 2004 Detection Finding, Create, beside the event that reports the refusal itself. */
const findingDraft = (log: Draft['log'], severityId: number, context: OcsfContext, finding: Finding): Draft => ({
  classUid: CLASS.detectionFinding,
  activityId: 1,
  severityId,
  log,
  profiles: ['security_control'],
  members: {
    status_id: 1, // New
    is_alert: true,
    confidence_id: 3, // High
    action_id: 2,
    disposition_id: finding.disposition,
    status_code: finding.reason,
    message: finding.title,
    finding_info: {
      uid: context.eventUids[1],
      title: finding.title,
      types: [finding.reason],
      related_events: [{ uid: context.eventUids[0], type_uid: finding.typeUid }],
    },
    evidences: [{ data: present(finding.evidence), ...finding.endpoints }],
    device: finding.device,
    policy: finding.policy,
    unmapped: finding.unmapped,
  },
})

/** 7004 says what was done, 5019 what the workspace's state is since. */
function quarantineDrafts(fact: FactOf<'quarantine-set' | 'quarantine-lifted'>, set: boolean): readonly [Draft, Draft] {
  const device = workspaceDevice(fact.workspace)
  const actor = { user: { name: words(fact.by) ?? 'unknown' } }
  const policy = fact.policy && bundlePolicy(fact.policy, true)
  const numbers: Members = fact.policy ? bundleNumbers(fact.policy) : {}
  const severityId = set ? SEVERITY.high : SEVERITY.informational
  const state = [{ state_id: 3 }] // In network quarantine
  return [
    {
      classUid: CLASS.networkRemediation,
      activityId: set ? 1 : 3, // Isolate, Restore
      severityId,
      log: 'sluice.enforcement',
      profiles: ['security_control', 'host'],
      members: {
        ...SUCCESS,
        action_id: set ? 2 : 1,
        disposition_id: set ? 4 : 9, // Isolated, Restored
        command_uid: words(fact.commandId) ?? 'unknown',
        connection_info: { direction_id: 99, direction: 'all' },
        message: `${set ? 'quarantine of' : 'quarantine lifted from'} ${words(fact.workspace.workspace) ?? 'unknown'}`,
        actor,
        device,
        policy,
        remediation: { desc: words(fact.reason) ?? 'no reason given' },
        duration: whole(fact.elapsedMs),
        unmapped: unmapped({ ...numbers, receipt: words(fact.receipt), told_late: fact.isLate }),
      },
    },
    {
      classUid: CLASS.configState,
      activityId: 1,
      severityId,
      log: 'sluice.enforcement',
      profiles: ['security_control'],
      members: {
        ...SUCCESS,
        action_id: set ? 2 : 1,
        disposition_id: set ? 3 : 9, // Quarantined, Restored
        message: set ? 'the workspace is in network quarantine' : 'the workspace left network quarantine',
        actor,
        device,
        policy,
        state_id: 2, // Enabled: the fence is in force either way
        security_level_id: set ? 2 : 1,
        prev_security_level_id: set ? 1 : 2,
        security_states: set ? state : undefined,
        prev_security_states: set ? undefined : state,
        unmapped: unmapped({ ...numbers, command_uid: words(fact.commandId), told_late: fact.isLate }),
      },
    },
  ]
}
