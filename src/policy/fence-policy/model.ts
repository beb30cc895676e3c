// A FencePolicy as its author wrote it, checked and in canonical form: lower-case names, canonical prefixes, merged port
// ranges. Which clauses it makes is in clauses.ts.

import type { Digest } from '../../base/digest.js'
import type { PortRange } from '../../base/ports.js'
import type {
  ClauseOrigin,
  Dimension,
  Profile,
  Protocol,
  QuotaClause,
  Reaction,
  Review,
  Role,
  SuspectActivity,
  Target,
  TrustDomain,
} from '../model.js'

export const API_VERSION = 'sluice.dev/v1alpha1'
export const KIND = 'FencePolicy'

export interface FenceEgress {
  readonly name: string
  readonly origin: ClauseOrigin
  readonly protocol: Protocol
  readonly to: readonly Target[]
  readonly ports: readonly PortRange[]
}
export interface FenceIngress {
  readonly name: string
  readonly origin: ClauseOrigin
  readonly protocol: Protocol
  readonly from: readonly string[]
  readonly ports: readonly PortRange[]
  readonly session?: 'required'
}
export interface FenceObserve {
  readonly origin: ClauseOrigin
  /** Milliseconds since 1970. */
  readonly untilMs: number
  readonly names: readonly string[]
}
export interface FenceQuota {
  readonly limit: QuotaClause['limit']
  readonly value: number
  readonly origin: ClauseOrigin
}
export interface FenceVolume {
  readonly name: string
  readonly origin: ClauseOrigin
  readonly readOnly: readonly string[]
  readonly readWrite: readonly string[]
  readonly deny: readonly string[]
  readonly openFiles?: 'until-closed'
}
export interface FencePin {
  readonly name: string
  readonly addresses: readonly string[]
  readonly origin: ClauseOrigin & { readonly column: number }
}
export interface FenceDelegate {
  readonly dimension: Dimension
  readonly origin: ClauseOrigin & { readonly column: number }
}

export interface FencePolicy {
  readonly file: string
  readonly name: string
  readonly appliesTo: readonly string[]
  readonly sandboxPolicy?: {
    readonly path: string
    readonly profile: Profile
    readonly role: Role
    readonly origin: ClauseOrigin & { readonly column: number }
  }
  readonly delegate: readonly FenceDelegate[]
  /** Sorted. */
  readonly review: readonly Review[]
  readonly requireDomain: TrustDomain
  readonly onExpiry: 'suspend' | 'hold'
  readonly classification?: { readonly uri: string; readonly digest: Digest }
  readonly egress: readonly FenceEgress[]
  readonly observe?: FenceObserve
  readonly ingress: readonly FenceIngress[]
  readonly pins: readonly FencePin[]
  readonly quotas: readonly FenceQuota[]
  readonly volumes: readonly FenceVolume[]
  readonly process?: {
    /** Executables that may run; none: no statement about it. */
    readonly exec: readonly string[]
    readonly activities: readonly SuspectActivity[]
    readonly reaction: Reaction
    readonly origin: ClauseOrigin
  }
}
