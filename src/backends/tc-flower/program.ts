// The program of one generation: for each workspace a few chains of filters for each direction, and what they match in words of
// cls_flower. Chains are numbered within their direction, from 1, and only ever lead to higher numbers; where they lie in the
// kernel is said by place.ts. Every chain ends in a refusal of its own, which is not listed here: a chain without one would
// let through what matches nothing.

import type { Digest } from '../../base/digest.js'
import type { Prefix } from '../../base/ip.js'
import type { GrantId, WorkspaceId } from '../../plan/model.js'
import type { DropReason } from '../../plan/state.js'
import type { ClauseId } from '../../policy/model.js'

/** A value and the bits of it that count. */
export interface Masked {
  readonly value: number
  readonly mask: number
}

/** What a filter asks of a packet; what is absent is not asked. The ethertype is the filter's own protocol. */
export interface Match {
  readonly etherType?: 'ip' | 'ipv6' | 'arp'
  readonly sourceMac?: string
  readonly destinationMac?: string
  readonly source?: Prefix
  readonly destination?: Prefix
  readonly protocol?: number
  readonly sourcePort?: Masked
  readonly destinationPort?: Masked
  readonly tcpFlags?: Masked
  readonly icmpType?: number
  readonly hopLimit?: number
  /** Whether it is a fragment, the first one included. */
  readonly fragment?: boolean
  readonly arp?: { readonly senderMac: string; readonly sender: Prefix; readonly target?: Prefix }
}

/**
 * `out`: to the other side. `kernel`: to the stack of whoever enforces. `goto`: a higher chain of this direction.
 */
export type Action =
  | { readonly kind: 'out' | 'kernel' }
  | { readonly kind: 'drop'; readonly reason: DropReason }
  | { readonly kind: 'goto'; readonly chain: number }

export interface Filter {
  /** Lower first. All filters of one priority are of one ethertype. */
  readonly priority: number
  readonly match: Match
  readonly action: Action
  /** Where the grant that it is of stands in the workspace's list. */
  readonly grant?: number
  /** Only for one of the two: the hardware cannot read ARP, and hands it to software, which can. */
  readonly only?: 'hardware' | 'software'
}

export interface Chain {
  readonly number: number
  readonly name: string
  /** Why what matches nothing is refused. */
  readonly otherwise: DropReason
  readonly filters: readonly Filter[]
}

/**
 * A chain that learned grants go to, at PRIORITY.learned. `live`: while they have not run out; `held`: while their clause is
 * live. From the workspace they are asked by destination, towards it by source.
 */
export interface LearnedBand {
  readonly side: 'from' | 'to'
  readonly chain: number
  readonly tcp: 'live' | 'held'
  readonly udp: 'live' | 'none'
}

export interface FlowerWorkspace {
  readonly workspace: WorkspaceId
  readonly interface: string
  readonly mac: string
  readonly addresses: readonly string[]
  readonly suspendsOnExpiry: boolean
  /** Chain 1 is where each begins. */
  readonly from: readonly Chain[]
  readonly to: readonly Chain[]
  /** What the enforcing side itself may send to the workspace: ARP, neighbour discovery, its services. */
  readonly own: Chain
  /** `Filter.grant` counts along this list. */
  readonly grants: readonly GrantId[]
  readonly clauses: readonly ClauseId[]
  /** None: nothing can be learnt for this workspace. */
  readonly bands: readonly LearnedBand[]
}

export interface FlowerProgram {
  readonly generation: number
  readonly planDigest: Digest
  readonly expiresAtMs: number
  readonly workspaces: readonly FlowerWorkspace[]
}

/** Priorities within a chain. Those of IPv6 follow those of IPv4 by SIXTH. */
export const PRIORITY = {
  arp: 1,
  noise: 2,
  service: 3,
  opening: 4,
  plain: 5,
  fragment: 6,
  own: 7,
  rest: 8,
  never: 10,
  opens: 11,
  reserved: 12,
  granted: 13,
  learned: 14,
  onward: 40,
} as const
export const SIXTH = 20

export const filtersOf = (at: FlowerWorkspace): number =>
  [...at.from, ...at.to, at.own].reduce((sum, chain) => sum + chain.filters.length + 1, 0)
