// Sessions of the access broker, opened and ended: one fact each, when the fence was read back. Values only, like every fact.

import type { PolicyContext, WorkspaceContext } from './fact.js'

export interface SessionFact {
  readonly kind: 'session-opened' | 'session-ended'
  readonly atMs: number
  /** Absent while nothing is held. */
  readonly policy?: PolicyContext
  readonly workspace: WorkspaceContext
  // untrusted: the broker's words.
  readonly sessionId: string
  readonly user: string
  readonly peer: string
  readonly by: string
  readonly openedAtMs: number
  readonly expiresAtMs: number
  /** Of one that ended: closed, revoked, expired, quarantined, detached, policy, lost, failed. */
  readonly reason?: string
  /** From the command to the fence read back. */
  readonly elapsedMs: number
}
