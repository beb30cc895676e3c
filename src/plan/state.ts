// What `evaluate` knows besides the plan: learned grants, live flows and flags; and what it is told about where it stands.

import type { Protocol } from '../policy/model.js'
import type { LearnedGrant, SessionPeer, WorkspaceId } from './model.js'

/** Why a packet was not let through. A closed list: backends, events and explanations use these words and no others. */
export const DROP_REASONS = [
  'quarantined',
  'suspended',
  'not-attached',
  'link-layer',
  'noise',
  'spoof',
  'fragment',
  'malformed',
  'dns',
  'control-port',
  'reserved',
  'never',
  'icmp-error',
  'no-flow',
  'no-grant',
] as const
export type DropReason = (typeof DROP_REASONS)[number]

/** How a refused packet is answered (design section 5, step 8). */
export type Refusal = 'silent' | 'tcp-reset' | 'icmp-prohibited'

/** Why a packet was let through. */
export type AllowReason =
  | 'service'
  | 'neighbour'
  | 'ingress-reply'
  | 'flow'
  | 'static-grant'
  | 'learned-grant'
  | 'icmp-error'
  | 'egress-reply'
  | 'ingress-grant'
  | 'observed'

/** `instead`: what a packet that passes because it is observed would have been refused for. */
export type Verdict =
  | {
      readonly kind: 'allow'
      readonly reason: AllowReason
      readonly clause?: string
      readonly grant?: string
      readonly instead?: DropReason
    }
  | { readonly kind: 'drop'; readonly reason: DropReason; readonly refusal: Refusal }

/** One flow, keyed by its original tuple. ICMP echo uses the identifier as both ports. */
export interface Flow {
  readonly workspace: WorkspaceId
  readonly direction: 'egress' | 'ingress'
  readonly protocol: Protocol
  /** The workspace's end and the peer's, canonical addresses. */
  readonly local: string
  readonly localPort: number
  readonly peer: string
  readonly peerPort: number
  /** `static`: judged again by the grants of every plan. `learned`: lives as long as its clause does. `observed`: as long as
   * its clause does and has not ended. */
  readonly basis: 'static' | 'learned' | 'observed'
  readonly clause: string
  readonly grant?: string
  readonly lastSeenMs: number
}

export interface State {
  readonly learned: readonly LearnedGrant[]
  readonly flows: ReadonlyMap<string, Flow>
  readonly quarantined: ReadonlySet<WorkspaceId>
  readonly suspended: ReadonlySet<WorkspaceId>
  /** Who has a session open; one that has run out grants nothing. */
  readonly sessions: readonly SessionPeer[]
}

export const EMPTY_STATE: State = {
  learned: [],
  flows: new Map(),
  quarantined: new Set(),
  suspended: new Set(),
  sessions: [],
}

/** Where the packet is judged, and what the backend that judges it declares (capabilities). */
export interface Env {
  /** A cgroup sees no link layer. */
  readonly linkLayer: boolean
  readonly replies: 'stateful' | 'stateless'
  /** `dropped`: what an error quotes cannot be read, and so none passes. */
  readonly icmpErrors: 'exact' | 'lagging' | 'dropped'
  /** `none`: every packet is judged by the grants alone (hardware without connection tracking). `ports`: echo is, since hardware
   * tracks what has ports. */
  readonly flowState: 'exact' | 'conntrack' | 'ports' | 'none'
  /** `as-read`: what is not sound is judged by what can be read of it (`Packet.glimpsed`). */
  readonly unsound?: 'as-read'
}

export const EXACT_ENV: Env = { linkLayer: true, replies: 'stateful', icmpErrors: 'exact', flowState: 'exact' }
