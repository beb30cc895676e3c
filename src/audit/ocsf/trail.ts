// Events about the trail itself: what is missing from it, and what became of its segments. 1008 Event Log Activity, since
// that is what the class is for; a segment that was changed from outside is a finding, because only an attacker or a failing
// disk has cause to change one.

import type { FactOf, SinkCounts } from '../fact.js'
import { agentActor, bundleNumbers, bundlePolicy, nodeDevice, unmapped } from './attributes.js'
import { CLASS, type Draft, type Members, type OcsfContext, present, SEVERITY, whole, words } from './event.js'

const journalDraft = (activityId: number, severityId: number, context: OcsfContext, members: Members): Draft => ({
  classUid: CLASS.eventLog,
  activityId,
  severityId,
  log: 'sluice.audit',
  profiles: [],
  members: { log_name: 'sluice', actor: agentActor(context), device: nodeDevice(context), ...members },
})

export const lostDraft = (fact: FactOf<'audit-lost'>, context: OcsfContext): Draft =>
  journalDraft(99, SEVERITY.high, context, {
    status_id: 2,
    activity_name: 'Loss',
    status_code: fact.cause,
    message: `${String(fact.lost)} ${fact.cause === 'torn-tail' ? 'octets' : 'events'} of the trail are missing: ${fact.cause}`,
    unmapped: present({ cause: fact.cause, lost: whole(fact.lost) ?? 0, sink: words(fact.sink) }),
  })

/** Activity 3: Export. */
export const sinkDraft = (fact: FactOf<'sink-failing'>, context: OcsfContext): Draft => {
  const failing = fact.kind === 'sink-failing'
  const sink = words(fact.sink) ?? ''
  return journalDraft(3, failing ? SEVERITY.medium : SEVERITY.informational, context, {
    status_id: failing ? 2 : 1,
    status_code: failing ? 'sink.failing' : 'sink.recovered',
    status_detail: words(fact.why),
    message: failing ? `the sink ${sink} takes no events` : `the sink ${sink} takes events again`,
    unmapped: present({
      ...counts(fact),
      type: words(fact.type),
      elapsed_ms: whole(fact.elapsedMs),
    }),
  })
}

const counts = ({ sink, sequence, lag, discarded, dead }: SinkCounts): Members =>
  present({
    sink: words(sink),
    sequence: whole(sequence),
    lag: whole(lag),
    discarded: whole(discarded),
    dead: whole(dead),
  })

/** Activity 5: Rotate. */
export const closedDraft = (fact: FactOf<'journal-closed'>, context: OcsfContext): Draft =>
  journalDraft(5, SEVERITY.informational, context, {
    status_id: 1,
    status_code: 'journal.closed',
    message: `segment ${String(fact.segment)} of the journal is closed and sealed`,
    unmapped: present({
      segment: whole(fact.segment),
      events: whole(fact.events),
      first_sequence: whole(fact.firstSequence),
      last_sequence: whole(fact.lastSequence),
      fingerprint: words(fact.fingerprint),
    }),
  })

/** Activity 2: Delete. */
export const retiredDraft = (fact: FactOf<'journal-retired'>, context: OcsfContext): Draft =>
  journalDraft(2, SEVERITY.informational, context, {
    status_id: 1,
    status_code: 'journal.retired',
    message: `segments ${String(fact.fromSegment)} to ${String(fact.toSegment)} of the journal are beyond what is kept`,
    unmapped: present({
      from_segment: whole(fact.fromSegment),
      to_segment: whole(fact.toSegment),
      last_sequence: whole(fact.lastSequence),
    }),
  })

/** Activity 99: Heartbeat. */
export const heartbeatDraft = (fact: FactOf<'heartbeat'>, context: OcsfContext): Draft => ({
  ...journalDraft(99, SEVERITY.informational, context, {
    status_id: 1,
    activity_name: 'Heartbeat',
    status_code: 'heartbeat',
    message: `the trail stands at ${String(fact.lastSequence)}`,
    policy: fact.policy && bundlePolicy(fact.policy, true),
    unmapped: unmapped({
      ...(fact.policy ? bundleNumbers(fact.policy) : {}),
      last_sequence: whole(fact.lastSequence),
      lost: whole(fact.lost),
      sinks: fact.sinks?.length ? fact.sinks.map(counts) : undefined,
    }),
  }),
  profiles: ['security_control'],
})

/** 2004 Detection Finding, Create. */
export function damagedDraft(fact: FactOf<'journal-damaged'>, context: OcsfContext): Draft {
  const title = 'A segment of the audit journal was changed from outside'
  const where = present({ segment: whole(fact.segment), line: whole(fact.line), sequence: whole(fact.sequence) })
  return {
    classUid: CLASS.detectionFinding,
    activityId: 1,
    severityId: SEVERITY.critical,
    log: 'sluice.audit',
    profiles: ['security_control'],
    members: {
      status_id: 1, // New
      is_alert: true,
      confidence_id: 3, // High
      action_id: 3, // Observed
      disposition_id: 15, // Detected
      status_code: 'journal.damaged',
      message: `${title}: segment ${String(fact.segment)} line ${String(fact.line)}`,
      finding_info: { uid: context.eventUids[0], title, types: ['journal-damaged'] },
      evidences: [{ data: where }],
      device: nodeDevice(context),
      unmapped: unmapped(where),
    },
  }
}
