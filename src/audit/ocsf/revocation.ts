// Security events as OCSF: API Activity (6003) for what a transmitter asked of us and what became of it, Authorize Session (3003,
// Access Revoked) beside it where authority ended, and a finding (2004) that is open for as long as a stream is silent.

import type { FactOf } from '../fact.js'
import { bundleNumbers, bundlePolicy, endpoint, nodeDevice, unmapped, wordList } from './attributes.js'
import { CLASS, type Draft, type Members, type OcsfContext, present, SEVERITY, whole, words } from './event.js'

type Taken = FactOf<'signal-taken'>

/** Somebody should look: nothing was done about it, or something was. */
const SEVERITIES: ReadonlyMap<string, number> = new Map([
  ['fenced', SEVERITY.high],
  ['closed', SEVERITY.high],
  ['revoked', SEVERITY.high],
  ['alarmed', SEVERITY.high],
  ['discarded', SEVERITY.high],
  ['unmapped', SEVERITY.medium],
  ['unknown', SEVERITY.low],
])

export function takenSignalDrafts(fact: Taken): readonly [Draft] | readonly [Draft, Draft] {
  const severity = fact.late ? SEVERITY.critical : (SEVERITIES.get(fact.outcome) ?? SEVERITY.informational)
  const numbers: Members = fact.policy ? bundleNumbers(fact.policy) : {}
  const outcome = words(fact.outcome) ?? 'unknown'
  const about = {
    issuer: words(fact.issuer),
    jti: words(fact.jti),
    event_type: words(fact.type),
    subject: words(fact.subject),
    outcome,
    issued_time: whole(fact.issuedAtMs),
    elapsed_ms: whole(fact.elapsedMs),
    late: fact.late || undefined,
  }
  const asked = signalDraft(fact, severity, {
    status_id: 1,
    action_id: 1,
    disposition_id: fact.outcome === 'unmapped' || fact.outcome === 'unknown' ? 16 : 8, // No Action, Approved
    status_code: `signal.${outcome}`,
    message: `security event ${words(fact.type.slice(fact.type.lastIndexOf('/') + 1)) ?? 'unknown'}: ${outcome}`,
    actor: actorOf(fact.issuer),
    resources: resources(fact),
    policy: fact.policy && bundlePolicy(fact.policy, true),
    duration: whole(fact.elapsedMs),
    unmapped: unmapped({ ...numbers, stream: words(fact.stream), ...about }),
  })
  const taken = [...fact.workspaces, ...(fact.sessions ?? []), ...fact.agents, ...fact.delegations]
  if (taken.length === 0) return [asked]
  return [
    asked,
    {
      classUid: CLASS.authorizeSession,
      activityId: 1, // Assign Privileges, denied: they are taken away
      severityId: severity,
      log: 'sluice.enforcement',
      profiles: ['security_control'],
      members: {
        status_id: 1,
        action_id: 2,
        disposition_id: 24, // Access Revoked
        status_code: 'access.revoked',
        message: `authority of ${words(fact.subject) ?? 'unknown'} ended`,
        actor: actorOf(fact.issuer),
        user: present({ uid: words(fact.subject) ?? 'unknown' }),
        privileges: wordList(taken.slice(0, MAX_NAMED)),
        policy: fact.policy && bundlePolicy(fact.policy, true),
        unmapped: unmapped({ ...numbers, taken: taken.length, jti: words(fact.jti) }),
      },
    },
  ]
}

/** Names beyond it are counted. */
const MAX_NAMED = 64

export const refusedSignalDraft = (fact: FactOf<'signal-refused'>): Draft =>
  signalDraft(fact, SEVERITY.medium, {
    status_id: 2,
    action_id: 2,
    disposition_id: 25, // Rejected
    status_code: words(fact.code) ?? 'unknown',
    status_detail: words(fact.why),
    message: `security event refused: ${words(fact.code) ?? 'unknown'}`,
    actor: actorOf(fact.stream),
    count: whole(fact.count),
    unmapped: unmapped({ stream: words(fact.stream) }),
  })

const actorOf = (who: string): Members => present({ app_name: 'ssf-transmitter', app_uid: words(who) })

function resources({ workspaces, sessions = [] }: Taken): Members[] | undefined {
  const named = [
    ...workspaces.map((uid) => ({ uid: words(uid) ?? 'unknown', type: 'workspace', role_id: 3 })),
    ...sessions.map((uid) => ({ uid: words(uid) ?? 'unknown', type: 'session', role_id: 3 })),
  ]
  return named.length === 0 ? undefined : named.slice(0, MAX_NAMED)
}

const signalDraft = (fact: { readonly from: string }, severityId: number, members: Members): Draft => ({
  classUid: CLASS.apiActivity,
  activityId: 1, // Create
  severityId,
  log: 'sluice.enforcement',
  profiles: ['security_control'],
  members: {
    api: { operation: 'security-event' },
    src_endpoint: endpoint(fact.from, undefined),
    ...members,
  },
})

/** Create while it is silent, Close when it is heard again: one finding a stream. */
export function streamDraft(fact: FactOf<'stream-silent' | 'stream-heard'>, context: OcsfContext): Draft {
  const silent = fact.kind === 'stream-silent'
  const stream = words(fact.stream) ?? 'unknown'
  const standing = words(fact.standing) ?? 'unknown'
  const title = silent
    ? 'A stream of security events is not heard: revocations may be missing'
    : 'A stream of security events is heard again'
  return {
    classUid: CLASS.detectionFinding,
    activityId: silent ? 1 : 3,
    severityId: silent ? SEVERITY.high : SEVERITY.informational,
    log: 'sluice.enforcement',
    profiles: ['security_control'],
    members: {
      status_id: silent ? 1 : 4, // New, Resolved
      is_alert: silent,
      confidence_id: 3, // High
      action_id: fact.denies && silent ? 2 : 1,
      disposition_id: fact.denies && silent ? 2 : 15, // Blocked, Detected
      status_code: silent ? 'stream.silent' : 'stream.heard',
      message: `${title}: ${stream} is ${standing}${silent && fact.refuses ? '; nothing is started, and what runs goes on' : ''}`,
      finding_info: { uid: `stream:${stream}`, title, types: ['stream-silent'] },
      evidences: [{ data: present({ stream, standing, heard_time: whole(fact.heardAtMs) }) }],
      device: nodeDevice(context),
      unmapped: unmapped({ stream, standing, denies: fact.denies, refuses: words(fact.refuses) }),
    },
  }
}
