// What the nftables backend executes: sets, chains and elements as data. Everything of one workspace and one generation has
// names of its own, so that it can be loaded while the generation before it judges; what switches generations is the small
// shared part at the end. The text of rules and elements is nft 1.0.6's; `%` in a rule stands for the prefix of the names.

import type { Digest } from '../../base/digest.js'
import type { IpRange } from '../../base/ip.js'
import type { GrantId, WorkspaceId } from '../../plan/model.js'
import type { Protocol } from '../../policy/model.js'

export interface NftSet {
  /** Without the prefix: `x4`. */
  readonly name: string
  /** nft's type: `ipv4_addr . inet_proto . inet_service`. */
  readonly type: string
  /** Ranges in it: loaded in one piece, because each change of such a set costs its whole size. */
  readonly interval: boolean
  readonly counter: boolean
  /** As nft takes and prints them; no two overlap. */
  readonly elements: readonly string[]
  /** The grant of each element, in the same order; empty for sets that hold no grants. */
  readonly grants: readonly GrantId[]
}

export interface NftChain {
  readonly name: string
  readonly rules: readonly string[]
}

/** A clause whose learned flows carry this conntrack mark. */
export interface ClauseMark {
  readonly clause: Digest
  readonly mark: number
}

/** What nothing grants passes until then; its flows carry the first mark, and the second once they were answered. */
export interface ObserveMarks {
  readonly untilMs: number
  readonly begun: number
  readonly answered: number
}

/** One static grant as flows are judged by it when a plan changes. */
export interface FlowGrant {
  readonly direction: 'egress' | 'ingress'
  readonly protocol: Protocol
  readonly range: IpRange
  /** First and last port; 0 and 65535 for icmp-echo. */
  readonly from: number
  readonly to: number
  readonly opens: boolean
  /** Counts only for the peer of an open session. */
  readonly session?: true
}

export interface NftWorkspace {
  readonly workspace: WorkspaceId
  readonly interface: string
  /** Own addresses, canonical. */
  readonly addresses: readonly string[]
  /** When its traffic is suspended by itself; null: never (`on_expiry: hold`). Milliseconds since 1970. */
  readonly deadlineMs: number | null
  readonly sets: readonly NftSet[]
  readonly chains: readonly NftChain[]
  readonly clauses: readonly ClauseMark[]
  readonly observe?: ObserveMarks
  readonly flowGrants: readonly FlowGrant[]
  /** `ADDRESS PROTOCOL PORT` of what the fence answers. */
  readonly services: readonly string[]
}

/** The sets and maps that say who is attached where; replaced whole by a commit. */
export const SHARED_SETS = [
  'attached',
  'slot4',
  'slot6',
  'own4',
  'own6',
  'dst4',
  'dst6',
  'svc4',
  'svc6',
  'from_ws',
  'to_ws',
  'nd_ws',
] as const
export type SharedSet = (typeof SHARED_SETS)[number]

export interface NftProgram {
  readonly generation: number
  readonly planDigest: Digest
  /** In the order of the plan; the n-th has names that begin with `w<n>_g<generation>_`. */
  readonly workspaces: readonly NftWorkspace[]
  /** Elements; `%<n>:` stands for the prefix of the n-th workspace. */
  readonly shared: Readonly<Record<SharedSet, readonly string[]>>
  /** ARP that the netdev chains let in: interface, frame source, sender MAC, sender and target address. */
  readonly arp: readonly string[]
}

/** Names of a workspace's objects. `tag` tells a second load of one generation (a repair) from the first. */
export const namePrefix = (index: number, generation: number, tag = ''): string => `w${index}_g${generation}${tag}_`
