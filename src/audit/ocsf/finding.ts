// Detection Finding (2004) for what detectors found: Create when it is told first, Update of the same `finding_info.uid` while its
// cause goes on. `types` has the detector's word, `evidences` its numbers, and `unmapped` how to come by the events that led to it
// (those after a sequence number, about the same workspace) and by those of the reaction (their command ids).

import type { FactOf } from '../fact.js'
import { bundleNumbers, bundlePolicy, nodeDevice, unmapped, wordList, workspaceDevice } from './attributes.js'
import { CLASS, type Draft, type Members, type OcsfContext, present, SEVERITY, whole, words } from './event.js'

/** `confidence_id` of the schema. */
const CONFIDENCE = { low: 1, medium: 2, high: 3 } as const
/** `type_id` of an analytic. */
const BEHAVIORAL = 2

export function detectionDraft(fact: FactOf<'finding'>, context: OcsfContext): Draft {
  const { workspace, policy, technique, caller } = fact
  const kind = words(fact.finding) ?? 'unknown'
  const title = words(fact.title) ?? 'unknown'
  const say = words(fact.say) ?? 'no detail'
  const firstAtMs = whole(fact.firstAtMs)
  const lastAtMs = whole(fact.atMs)
  return {
    classUid: CLASS.detectionFinding,
    activityId: fact.news === 'created' ? 1 : 2, // Create, Update
    severityId: SEVERITY[fact.severity],
    log: 'sluice.enforcement',
    profiles: ['security_control', 'host'],
    members: {
      status_id: fact.news === 'created' ? 1 : 2, // New, In Progress
      is_alert: true,
      confidence_id: CONFIDENCE[fact.confidence],
      ...REACTED[fact.outcome],
      status_code: kind,
      message: `${title}: ${say}`,
      finding_info: present({
        uid: words(fact.uid) ?? context.eventUids[0],
        title,
        types: [kind],
        desc: say,
        analytic: { type_id: BEHAVIORAL, uid: `sluice.${kind}`, name: kind },
        attacks: technique && [techniqueOf(technique)],
        first_seen_time: firstAtMs,
        last_seen_time: lastAtMs,
        related_events_count: whole(fact.count),
      }),
      evidences: [
        present({
          data: evidenceOf(fact),
          actor: caller === undefined ? undefined : { user: { name: words(caller) ?? 'unknown' } },
        }),
      ],
      remediation: { desc: words(fact.remedy) ?? 'none given' },
      device: workspace ? workspaceDevice(workspace) : nodeDevice(context),
      policy: policy && bundlePolicy(policy, true),
      count: whole(fact.count),
      start_time: firstAtMs,
      end_time: lastAtMs,
      unmapped: unmapped({
        ...(policy ? bundleNumbers(policy) : {}),
        finding: kind,
        reaction: words(fact.reaction),
        outcome: words(fact.outcome),
        after_sequence: whole(fact.afterSequence),
        command_uids: fact.commandIds.length > 0 ? wordList(fact.commandIds) : undefined,
      }),
    },
  }
}

/** Observed and Detected; Denied and Isolated; Denied was wanted, and Error is what came of it. */
const REACTED = {
  observed: { action_id: 3, disposition_id: 15 },
  done: { action_id: 2, disposition_id: 4 },
  fenced: { action_id: 2, disposition_id: 4 },
  failed: { action_id: 3, disposition_id: 27 },
} as const

const techniqueOf = ({ tactic, technique, subTechnique }: NonNullable<FactOf<'finding'>['technique']>): Members =>
  present({ tactic, technique, sub_technique: subTechnique })

/** untrusted: every text. */
function evidenceOf({ evidence }: FactOf<'finding'>): Members {
  const out: { [name: string]: Members[string] } = {}
  for (const [name, value] of Object.entries(evidence))
    out[words(name) ?? 'unknown'] =
      typeof value === 'string' ? words(value) : typeof value === 'number' ? whole(value) : wordList(value)
  return present(out)
}
