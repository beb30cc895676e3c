// Sessions of the access broker as subjects of security events (plan/subject.ts): a session that is revoked is closed, and its workspace
// stays what it is, with everybody else who is there. Each open one stands beside the workspaces that the inventory binds, under a
// name that is no workspace's, so that what is meant by it is kept, done once and told like everything else an event asks for.

import { identityOf } from '../plan/subject.js'
import type { Mapped } from '../revocation/model.js'
import { type BrokerSession, isOpen } from './session-record.js'

const MARK = '#session='

/** Those that are open, by the broker's own name for them. Who uses one is the broker's word, and binds nothing. */
export const mappedSessions = (
  list: readonly (Pick<BrokerSession, 'workspace' | 'sessionId'> & { readonly ended?: unknown })[],
): Mapped[] =>
  list.filter(isOpen).map(({ workspace, sessionId }) => ({
    workspace: `${workspace}${MARK}${sessionId}`,
    subjects: { session: [identityOf('opaque', sessionId), identityOf('uri', sessionId)] },
  }))

/** What such a name means; undefined for a workspace, whose id has no fragment (policy/workspace-id.ts). */
export function sessionMeant(name: string): Pick<BrokerSession, 'workspace' | 'sessionId'> | undefined {
  const at = name.indexOf(MARK)
  return at < 0 ? undefined : { workspace: name.slice(0, at), sessionId: name.slice(at + MARK.length) }
}

/** As it is told: closing sessions is an outcome of its own, and they are no workspaces. */
export function toldOf(outcome: string, names: readonly string[]) {
  const sessions = names.filter((name) => sessionMeant(name))
  const workspaces = names.filter((name) => !sessionMeant(name))
  return {
    outcome: outcome === 'fenced' && workspaces.length === 0 ? 'closed' : outcome,
    workspaces,
    ...(sessions.length > 0 ? { sessions } : {}),
  }
}
