// Authentication (3002) for the sessions of the access broker: Logon when the fence lets its peer in, Logoff when it does no more.
// The service is the workspace; whom the broker let in is its word and not ours. untrusted: session id, user and peer.

import type { SessionFact } from '../fact-session.js'
import { agentActor, bundleNumbers, bundlePolicy, endpoint, unmapped, workspaceDevice } from './attributes.js'
import { CLASS, type Draft, type OcsfContext, present, SEVERITY, whole, words } from './event.js'

/** Ends that nobody asked for, and that are no end of time. */
const CUT: ReadonlySet<string> = new Set(['revoked', 'quarantined', 'policy', 'lost'])

export function sessionDraft(fact: SessionFact, context: OcsfContext): Draft {
  const opened = fact.kind === 'session-opened'
  const reason = opened ? undefined : (words(fact.reason) ?? 'unknown')
  const who = words(fact.user) ?? 'unknown'
  return {
    classUid: CLASS.authentication,
    activityId: opened ? 1 : 2, // Logon, Logoff
    severityId: reason !== undefined && CUT.has(reason) ? SEVERITY.medium : SEVERITY.informational,
    log: 'sluice.enforcement',
    profiles: ['security_control', 'host'],
    correlationUid: words(fact.sessionId) ?? 'unknown',
    members: {
      status_id: 1,
      action_id: opened ? 1 : 2,
      disposition_id: opened ? 1 : 24, // Allowed, Access Revoked
      status_code: opened ? 'session.opened' : `session.${reason ?? 'ended'}`,
      message: opened
        ? `a session of ${who} is open; its peer was let in and the fence read back`
        : `the session of ${who} is over (${reason ?? 'unknown'}); its peer is let in no more`,
      actor: agentActor(context),
      device: workspaceDevice(fact.workspace),
      user: present({ name: who }),
      session: present({
        uid: words(fact.sessionId) ?? 'unknown',
        created_time: whole(fact.openedAtMs),
        expiration_time: whole(fact.expiresAtMs),
        expiration_reason: reason,
        is_remote: true,
      }),
      service: present({ name: words(fact.workspace.workspace) ?? 'unknown' }),
      src_endpoint: endpoint(fact.peer, undefined),
      is_remote: true,
      policy: fact.policy && bundlePolicy(fact.policy, true),
      unmapped: unmapped({
        ...(fact.policy ? bundleNumbers(fact.policy) : {}),
        by: words(fact.by),
        elapsed_ms: whole(fact.elapsedMs),
      }),
    },
  }
}
