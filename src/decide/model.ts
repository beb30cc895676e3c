// The words of decisions: what is asked (an action of somebody), and what is answered. The question has the shape of an ODIS
// identity context (identity sheet section 3) after it was read (read-question.ts): plain values, nothing in them trusted yet.
//
// The lists of reasons are closed: answers, events, metrics and attestations use these words and no others.

import type { FileDenial } from '../plan/evaluate-file.js'
import type { FileOperation } from '../plan/file-operations.js'
import type { WorkspaceId } from '../plan/model.js'
import type { Review } from '../policy/model.js'
import type { Authority, AuthorityReason } from './authority.js'

/** Who asks, as the caller said, and what the agent knows about the workspace. */
export interface Asking {
  readonly workspace: WorkspaceId
  /** untrusted: the program that acts, and those that started it; real paths, never argv (sheet section 6). */
  readonly executable?: string
  readonly ancestors?: readonly string[]
  /** Flags of the workspace (design section 3), which stand above every clause. */
  readonly quarantined: boolean
  readonly suspended: boolean
  /** What its registration and delegations carry, or why they carry nothing; absent where nobody delegates. */
  readonly authority?: Authority | AuthorityReason
}

/** One GraphQL operation of a request, or only the name of a registered one. */
export interface GraphqlOperation {
  readonly type: string
  readonly name: string
  /** Root fields that it selects. */
  readonly fields: readonly string[]
  /** Hash or id of a persisted query whose text is not in the request. */
  readonly persisted?: string
}

export interface RpcCall {
  readonly method: string
  /** `params.name` of tools/call. */
  readonly tool?: string
}

/** A request or message of an inspected stream. */
export interface RequestAction {
  readonly kind: 'request'
  readonly host: string
  readonly port: number
  /** The address that it goes to, where the caller has resolved it. */
  readonly address?: string
  /** HTTP method, or WEBSOCKET_TEXT for a message of the client. */
  readonly method: string
  /** Canonical: decoded, no dot segments, no doubled slashes, no query. */
  readonly path: string
  readonly query?: Readonly<Record<string, readonly string[]>>
  /** The request asks for a WebSocket. */
  readonly upgrade?: boolean
  readonly graphql?: readonly GraphqlOperation[]
  readonly rpc?: readonly RpcCall[]
  /** The body is an answer to the server (JSON-RPC), not a call. */
  readonly rpcResponse?: boolean
}
/** A connection of which nobody reads the inside. */
export interface ConnectAction {
  readonly kind: 'connect'
  readonly protocol: 'tcp' | 'udp'
  /** A name, or an address as text. */
  readonly host: string
  readonly port: number
  readonly address?: string
}
export interface FileAction {
  readonly kind: 'file'
  readonly operation: FileOperation
  readonly path: string
  /** A volume that the fence serves; without one the path is the workspace's own. */
  readonly volume?: string
}
export interface ExecAction {
  readonly kind: 'exec'
  readonly path: string
  /** sha256:... of what would run. */
  readonly digest?: string
}
export interface RunAsAction {
  readonly kind: 'run-as'
  readonly user?: string
  readonly group?: string
}
export type Action = RequestAction | ConnectAction | FileAction | ExecAction | RunAsAction

export const ALLOW_REASONS = [
  /** A rule of the endpoint admits the request. */
  'rule',
  /** Host and port are granted and nothing inspects the inside. */
  'grant',
  'file',
  'exec',
  'user',
  /** The rules deny it, and the policy only audits (`enforcement` is not `enforce`). */
  'audit',
] as const
export type AllowReason = (typeof ALLOW_REASONS)[number]

export const DENY_REASONS = [
  'unknown-workspace',
  'expired',
  'malformed',
  'no-grant',
  'binary',
  'no-route',
  'protocol',
  'no-request-rule',
  'deny-rule',
  'persisted-query',
  'response-frame',
  'blocked-name',
  'never-address',
  'reserved',
  'address-not-granted',
  'digest',
  'user-denied',
  'group-denied',
  /** The policy was not asked: the delegation does not carry it. */
  'not-delegated',
] as const
export type DenyReason = (typeof DENY_REASONS)[number] | FileDenial | AuthorityReason

/** What the caller must do for the answer to hold. */
export type Obligation =
  /** Connect to an address inside one of these only. */
  | { readonly kind: 'address-within'; readonly prefixes: readonly string[] }
  /** Read the stream as this protocol and ask about each request. */
  | { readonly kind: 'inspect'; readonly protocol: string }
  /** Have a person approve it first. */
  | { readonly kind: 'review'; readonly of: Review | 'delegation' }
  /** Record it as what would be denied, with the reason. */
  | { readonly kind: 'log'; readonly reason: DenyReason }

interface Answer {
  /** The clause that decided: an id of the plan, or of one request rule. */
  readonly clause?: string
  /** Where that stands in the document, for people. */
  readonly place?: string
  readonly obligations: readonly Obligation[]
}
export type Decision =
  | (Answer & { readonly decision: 'allow'; readonly reason: AllowReason })
  | (Answer & { readonly decision: 'deny'; readonly reason: DenyReason })

const NOTHING: readonly Obligation[] = []

export const allowed = (reason: AllowReason, at?: ClausePlace, obligations = NOTHING): Decision => ({
  decision: 'allow',
  reason,
  ...at,
  obligations,
})
/** Made for each refusal, and so written out: a spread would cost as much as the rest of a decision. */
export const denied = (reason: DenyReason, at?: ClausePlace): Decision =>
  at === undefined
    ? { decision: 'deny', reason, obligations: NOTHING }
    : { decision: 'deny', reason, clause: at.clause, place: at.place, obligations: NOTHING }

export interface ClausePlace {
  readonly clause: string
  readonly place: string
}
