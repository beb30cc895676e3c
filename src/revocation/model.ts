// The nouns of the receiver: a stream as the operator configured it, a SET after its checks, how one is refused, and what was done
// about one. Values only, all plain JSON where they are kept.

import type { Json } from '../base/canonical.js'
import type { WorkspaceId } from '../plan/model.js'
import type { Subjects } from '../plan/subject.js'
import type { EventName, Payload, ReactionTerms } from './events.js'

/** `err` of RFC 8935 section 2.4, with the one that SSF 1.0 section 8.1.4.1 adds. */
export type ErrorCode =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
  | 'access_denied'
  | 'invalid_state'

export interface Refusal {
  readonly err: ErrorCode
  readonly description: string
}

export const SET_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'Ed25519', 'EdDSA'] as const
export type SetAlgorithm = (typeof SET_ALGORITHMS)[number]

/** What is believed of one transmitter. */
export interface StreamTerms {
  readonly name: string
  /** Exact. */
  readonly issuer: string
  /** Any of these must be in `aud`. */
  readonly audience: readonly string[]
  readonly algorithms: readonly SetAlgorithm[]
  /** Event types that it may send. */
  readonly events: readonly EventName[]
  /** Subject members that must be understood, or the event is dropped (SSF 1.0 section 7.1, critical_subject_members). */
  readonly criticalMembers: readonly string[]
  readonly reaction: ReactionTerms
}

/** A SET that is authentic, addressed to us and well formed. Times are milliseconds since 1970. */
export interface SecurityEvent {
  readonly stream: string
  readonly issuer: string
  readonly jti: string
  readonly iatMs: number
  /** As it stood in the SET: `readSubject` reads it. */
  readonly subId: Json
  readonly type: string
  /** Absent for a type that is not understood. */
  readonly name?: EventName
  readonly payload: Payload
  /** When the SET was received, by this machine. */
  readonly receivedAtMs: number
  /** Address or host that it came from. */
  readonly from: string
}

/** One workspace of this node, and who it belongs to by the signed inventory. */
export interface Mapped {
  readonly workspace: WorkspaceId
  readonly subjects: Subjects
}

/** What is to be done. Each list may be empty. */
export interface Deeds {
  readonly fence: readonly WorkspaceId[]
  readonly agents: readonly string[]
  readonly delegations: readonly { readonly issuer: string; readonly delegationId: string }[]
}

/**
 * `fenced`, `revoked`: done. `noted`, `alarmed`: understood, and nothing to do. `unmapped`: nobody here is meant. `unknown`: a type that
 * is not understood. `discarded`: a critical subject member is not understood. `stream`: about the stream itself.
 */
export type Outcome = 'fenced' | 'revoked' | 'noted' | 'alarmed' | 'unmapped' | 'unknown' | 'discarded' | 'stream'
