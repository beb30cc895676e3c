// The program of one generation: for each workspace a chain of pipes for each direction, deepest first, so that whatever
// forwards to a pipe comes after it. Values are in network order and complete: what loads it has no choices left.

import type { Digest } from '../../base/digest.js'
import type { GrantId, Plan, WorkspaceId } from '../../plan/model.js'
import type { ClauseId } from '../../policy/model.js'

/** Fields of doca-shims/include/sluice_doca.h: their numbers there and the octets that each has in a key. */
export const FIELDS = {
  inPort: { number: 0, octets: 2 },
  ethSource: { number: 1, octets: 6 },
  etherType: { number: 3, octets: 2 },
  tags: { number: 4, octets: 1 },
  l4: { number: 6, octets: 1 },
  fragment: { number: 7, octets: 1 },
  l3Ok: { number: 8, octets: 1 },
  l4Ok: { number: 9, octets: 1 },
  meta: { number: 11, octets: 4 },
  ip4Source: { number: 12, octets: 4 },
  ip4Destination: { number: 13, octets: 4 },
  ip4Version: { number: 14, octets: 1 },
  ip4Protocol: { number: 15, octets: 1 },
  ip6Source: { number: 16, octets: 16 },
  ip6Destination: { number: 17, octets: 16 },
  ip6Next: { number: 18, octets: 1 },
  ip6Hops: { number: 19, octets: 1 },
  sourcePort: { number: 20, octets: 2 },
  destinationPort: { number: 21, octets: 2 },
  tcpFlags: { number: 22, octets: 1 },
  icmpType: { number: 23, octets: 1 },
} as const
export type FieldName = keyof typeof FIELDS

/** Numbers of the shim. */
export const PIPE_KINDS = { basic: 0, lpm: 2, acl: 4 } as const
export type PipeKind = keyof typeof PIPE_KINDS
/** Which header ports, flags and types are looked for in. */
export const TRANSPORTS = { none: 0, tcp: 1, udp: 2, icmp: 3, icmp6: 4 } as const
export type Transport = keyof typeof TRANSPORTS

/** `wire` is the device's own port, `slot` the workspace's representor, `kernel` the Arm's own stack. `refuse` drops, after the agent
 * had a chance to see it. `track` asks the tracked connections, and what begins one goes to the agent by `begins-from` or
 * `begins-to`. */
export type Forward =
  | { readonly kind: 'drop' | 'refuse' | 'kernel' | 'wire' | 'slot' | 'track' | 'begins-from' | 'begins-to' }
  | { readonly kind: 'pipe'; readonly pipe: number }

export const DROP: Forward = { kind: 'drop' }
export const REFUSE: Forward = { kind: 'refuse' }
/** Nothing of it goes on. */
export const ends = ({ kind }: Forward): boolean => kind === 'drop' || kind === 'refuse'

export interface MatchField {
  readonly field: FieldName
  /** What all entries share; undefined: each entry says. */
  readonly value?: Uint8Array
  readonly mask: Uint8Array
}

export interface Entry {
  /** The octets of the fields that entries say, in the pipe's order; `mask` as long, for LPM and ACL pipes. */
  readonly key: Uint8Array
  readonly mask?: Uint8Array
  readonly forward: Forward
  /** ACL: lower first. */
  readonly priority?: number
  /** For pipes that set metadata. */
  readonly meta?: number
  /** What a hit of this entry means. */
  readonly grant?: GrantId
}

export interface Pipe {
  readonly name: string
  readonly kind: PipeKind
  readonly transport: Transport
  readonly fields: readonly MatchField[]
  /** Entries have counters, and the miss has one. */
  readonly counted: boolean
  readonly setsMeta: boolean
  /** Every entry writes the workspace's zone where others write their number: its port on the device. */
  readonly zoned?: true
  readonly miss: Forward
  readonly entries: readonly Entry[]
  /** Empty when it is loaded: the driver puts learned addresses in, as they come and go. Its entries have no counters. */
  readonly learns?: Lesson
}

/** Which learned grants a pipe holds: unexpired ones, or for packets that begin no connection all whose clause is live. */
export interface Lesson {
  readonly protocol: 'tcp' | 'udp'
  readonly family: 4 | 6
  readonly expired: boolean
  readonly room: number
  /** Where what is found goes. */
  readonly out: Forward
}
/** Learned addresses of one protocol and family that a workspace can have at a time. */
export const LEARNED_ROOM = 1024

export interface DocaWorkspace {
  readonly workspace: WorkspaceId
  /** The DPU's own name of the function; the interface name where the inventory has none. */
  readonly vuid: string
  readonly interface: string
  readonly mac: Uint8Array
  readonly addresses4: readonly Uint8Array[]
  readonly addresses6: readonly Uint8Array[]
  readonly suspendsOnExpiry: boolean
  readonly pipes: readonly Pipe[]
  /** Clauses whose addresses are learnt. */
  readonly names: readonly ClauseId[]
  /** First pipe of what comes from the workspace, and of what goes to it, by family. */
  readonly from: number
  readonly to4: number
  readonly to6: number
  /** With tracked connections: where what belongs to none goes, by direction and family. */
  readonly begins?: Begins
}

export type Begins = Readonly<Record<'from4' | 'from6' | 'to4' | 'to6', Forward>>

export interface DocaProgram {
  readonly generation: number
  readonly planDigest: Digest
  readonly expiresAtMs: number
  readonly workspaces: readonly DocaWorkspace[]
  /** The plan of the workspaces whose connections are tracked: first packets, and connections at a change, are judged by it. */
  readonly tracked: Plan
}

/** What a program needs of the device: what capacity is planned with. */
export type Demand = Record<'workspaces' | 'addresses' | 'pipes' | 'entries' | 'counters' | 'rules', number>

export function demandOf(workspaces: readonly DocaWorkspace[]): Demand {
  const addresses = [0, 0]
  const demand: Demand = { workspaces: workspaces.length, addresses: 0, pipes: 0, entries: 0, counters: 0, rules: 0 }
  for (const { pipes, addresses4, addresses6 } of workspaces) {
    addresses[0] = (addresses[0] ?? 0) + addresses4.length
    addresses[1] = (addresses[1] ?? 0) + addresses6.length
    for (const pipe of pipes) {
      demand.pipes++
      demand.entries += pipe.entries.length + (pipe.learns?.room ?? 0)
      if (pipe.counted) demand.counters += pipe.entries.length + 1
      // They take far more of the device's memory than other entries.
      if (pipe.kind === 'acl') demand.rules += pipe.entries.length
    }
  }
  demand.addresses = Math.max(...addresses)
  return demand
}
