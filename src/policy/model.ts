// What policy documents mean, after parsing and normalizing: plain data, the same for OpenShell's `SandboxPolicy` and our
// `FencePolicy`. The plan is compiled from this and from nothing else.
//
// A clause is one statement of a document. Its id is the digest of its normalized form (clause-id.ts), so editing a
// document around a clause changes nothing about it; `origin` is for people.

import type { Digest } from '../base/digest.js'
import type { PortRange } from '../base/ports.js'
import type { SandboxPolicy } from './sandbox-policy/model.js'

/** What a fence outside the workspace cannot see, and a policy may leave to the runtime inside (`delegate:`). */
export const DIMENSIONS = [
  'binary',
  'l7',
  'tls',
  'middleware',
  'credentials',
  'filesystem',
  'process',
  'user',
  'shared-address',
] as const
export type Dimension = (typeof DIMENSIONS)[number]

/** Where the fence stands, strongest last; `host` shares its kernel's fate with the host's root. */
export const TRUST_DOMAINS = ['host', 'dpu-host-trusted', 'dpu-restricted'] as const
export type TrustDomain = (typeof TRUST_DOMAINS)[number]

export const PROFILES = ['strict', 'compat'] as const
export type Profile = (typeof PROFILES)[number]

/** `authored` is what a person wrote; `effective` is as a gateway composed it (rules named `_provider_*` allowed). */
export type Role = 'authored' | 'effective'

/** Kinds of writes that a policy wants a person to look at before they happen (`review:`). */
export const REVIEWS = ['requests', 'tools', 'files'] as const
export type Review = (typeof REVIEWS)[number]

/** What happens when a workspace does what a process clause forbids; each includes the ones before it. */
export const REACTIONS = ['observe', 'quarantine', 'kill'] as const
export type Reaction = (typeof REACTIONS)[number]

/** What a program does that no list of executables shows. */
export const SUSPECT_ACTIVITIES = ['memory-only', 'reverse-shell', 'shell', 'shell-history'] as const
export type SuspectActivity = (typeof SUSPECT_ACTIVITIES)[number]

export type Protocol = 'tcp' | 'udp' | 'icmp-echo'

export type ClauseId = Digest

/** Where a clause was written. `line` is 1-based. */
export interface ClauseOrigin {
  readonly file: string
  readonly path: string
  readonly line: number
}

/** A part of a clause that the fence cannot see: dropping it makes the fence wider than the policy. */
export interface Loss {
  readonly dimension: Dimension
  /** The key that carries it: `binaries`, `rules`, `deny_rules`, `tls`. */
  readonly what: string
  /** What the fence admits instead, as a sentence part: `every program of the workspace`. */
  readonly widenedTo: string
}

/** What an egress clause reaches. */
export type Target =
  | {
      readonly kind: 'name'
      /** Lower case, no trailing dot. With `*` it is a pattern of OpenShell's host dialect (sheet section 6). */
      readonly pattern: string
      readonly wildcard: boolean
      /** Canonical prefixes that resolved addresses must lie in (`allowed_ips`); undefined when the policy names none. */
      readonly within?: readonly string[]
    }
  | { readonly kind: 'prefix'; readonly prefix: string }

interface ClauseBase {
  readonly id: ClauseId
  /** Short name for people: the rule key or the `name` of the entry. */
  readonly name: string
  readonly origin: ClauseOrigin
  readonly losses: readonly Loss[]
}

export interface EgressClause extends ClauseBase {
  readonly kind: 'egress'
  readonly protocol: Protocol
  readonly to: readonly Target[]
  /** Merged and sorted; empty for `icmp-echo`, never empty otherwise. */
  readonly ports: readonly PortRange[]
}
/** Connections into the workspace; `ports` are the workspace's own. */
export interface IngressClause extends ClauseBase {
  readonly kind: 'ingress'
  readonly protocol: Protocol
  /** Canonical prefixes. */
  readonly from: readonly string[]
  readonly ports: readonly PortRange[]
  /** Closed but for the peers of sessions that the access broker has open. Absent: open to all of `from`. */
  readonly session?: 'required'
}
/**
 * Until then a first packet that nothing grants, and that is refused for no other reason, passes and is reported. `names` are
 * resolved meanwhile and grant nothing. Its id holds the end: what began under one end never lives on under another.
 */
export interface ObserveClause extends ClauseBase {
  readonly kind: 'observe'
  /** Milliseconds since 1970. */
  readonly untilMs: number
  /** Lower-case names and patterns of OpenShell's host dialect, sorted. */
  readonly names: readonly string[]
}
export interface QuotaClause extends ClauseBase {
  readonly kind: 'quota'
  readonly limit: 'connections-per-second' | 'live-connections' | 'bytes-per-second'
  readonly value: number
}
export interface StorageClause extends ClauseBase {
  readonly kind: 'storage'
  readonly access: 'read-only' | 'read-write' | 'deny'
  /** Absolute paths; a volume's are relative to its root. */
  readonly paths: readonly string[]
  readonly volume?: string
  /** What is open on the volume stays as it was opened until it is closed. */
  readonly openFiles?: 'until-closed'
}
export interface ProcessClause extends ClauseBase {
  readonly kind: 'process'
  /** `user`: who the workload runs as. `exec`: what it may run. `activity`: what is looked for in what runs. */
  readonly rule: 'user' | 'exec' | 'activity'
  /** Users and groups as `user:NAME`, `group:NAME`; executables as absolute paths, with `@sha256:...` where pinned; activities. */
  readonly values: readonly string[]
  readonly reaction: Reaction
}
/** A statement that only the runtime inside the workspace can carry out: middleware, landlock mode. */
export interface RuntimeClause extends ClauseBase {
  readonly kind: 'runtime'
}
export type Clause =
  | EgressClause
  | IngressClause
  | ObserveClause
  | QuotaClause
  | StorageClause
  | ProcessClause
  | RuntimeClause

export interface DnsSettings {
  /** Lower-case names to canonical addresses, for networks without a resolver; sorted. */
  readonly pins: ReadonlyMap<string, readonly string[]>
}

/** One `FencePolicy` with its `SandboxPolicy` folded in. */
export interface Policy {
  readonly name: string
  /** Bundle-relative path of the FencePolicy. */
  readonly file: string
  /** Workspace ids, exact or ending in `/*` (any id below that path); never empty. */
  readonly appliesTo: readonly string[]
  readonly requireDomain: TrustDomain
  readonly onExpiry: 'suspend' | 'hold'
  readonly delegate: readonly Dimension[]
  readonly dns: DnsSettings
  readonly classification?: { readonly uri: string; readonly digest: Digest }
  /** One of each id, sorted by id. */
  readonly clauses: readonly Clause[]
  /** Writes that a decision allows only with the obligation of a review; sorted, absent when there are none. */
  readonly review?: readonly Review[]
  /** The SandboxPolicy that was folded in, for decisions about requests; a plan is made from `clauses` alone. */
  readonly sandbox?: SandboxPolicy
}
