// 2004 Detection Finding for a journal that does not hold together as it leaves its node: Critical, because a receiver that
// misses events cannot know what they would have said.

import type { TrailBroken, TrailFault } from '../fact-export.js'
import { nodeDevice, unmapped } from './attributes.js'
import { CLASS, type Draft, type OcsfContext, present, SEVERITY, whole, words } from './event.js'

const SAID: { readonly [F in TrailFault]: string } = {
  'events-missing': 'events are missing',
  edited: 'an event was changed',
  forked: 'there is another event under the same number',
  cut: 'the journal ends before what was pulled from it',
  replaced: 'the journal was replaced by another one',
  unreadable: 'what came is no event',
  'copy-damaged': 'the copy was changed',
}

export function brokenTrailDraft(fact: TrailBroken, context: OcsfContext): Draft {
  const title = 'The audit trail of a node does not hold together'
  const { fromSequence: from, toSequence: to } = fact
  const range = from === to ? `event ${String(from)}` : `events ${String(from)} to ${String(to)}`
  const where = present({
    node: words(fact.node),
    chain_uid: words(fact.chain),
    found: fact.found,
    from_sequence: whole(from),
    to_sequence: whole(to),
    expected_fingerprint: words(fact.expected),
    fingerprint: words(fact.came),
  })
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
      status_code: `trail.${fact.found}`,
      message: `${title}: ${SAID[fact.found]} (${range} of ${words(fact.node) ?? 'unknown'})`,
      finding_info: { uid: context.eventUids[0], title, types: ['trail-broken'] },
      evidences: [{ data: where }],
      device: nodeDevice(context),
      unmapped: unmapped(where),
    },
  }
}
