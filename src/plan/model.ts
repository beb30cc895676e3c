// The plan: complete, inert, printable, comparable. Whatever executes it has no choices left (design sections 2 and 5).
// All collections are sorted and free of duplicates, so that the same input gives the same bytes (codec.ts).

import type { Digest } from '../base/digest.js'
import type { PortRange } from '../base/ports.js'
import type { ClauseId, Dimension, Protocol, Reaction, SuspectActivity, TrustDomain } from '../policy/model.js'
import type { Slot, Volume } from './inventory.js'

export const PLAN_FORMAT = 'sluice-plan/1'

export type BackendName =
  | 'memory'
  | 'nftables'
  | 'ebpf'
  | 'doca-flow'
  | 'tc-flower'
  | 'vaultfs'
  | 'bpf-lsm'
  | 'doca-vault'
  | 'exec-sensor'
  | 'doca-argus'

/** A SPIFFE-style URI. */
export type WorkspaceId = string

/** Direction, protocol, prefix and ports, as `egress/tcp/45.76.10.10/32/443`. The same grant has the same id in every plan. */
export type GrantId = string

export interface Grant {
  readonly id: GrantId
  readonly direction: 'egress' | 'ingress'
  readonly protocol: Protocol
  /** Canonical prefix of the peer: the destination of egress, the source of ingress. */
  readonly prefix: string
  /** The destination port: the peer's for egress, the workspace's own for ingress; null for icmp-echo. */
  readonly ports: PortRange | null
  /** True when the prefix lies wholly inside one reserved range, or is a pin, and so opens it (design section 5, step 6). */
  readonly opens: boolean
  /** Every clause that says this grant, sorted; the first is the one that a verdict names. */
  readonly clauses: readonly ClauseId[]
}

/** A clause whose addresses are learnt from DNS answers. Its grants exist only in the state (`LearnedGrant`). */
export interface NameRule {
  readonly clause: ClauseId
  readonly pattern: string
  readonly wildcard: boolean
  readonly protocol: Protocol
  readonly ports: readonly PortRange[]
  /** Canonical prefixes that an answer must lie in; empty means any public address. */
  readonly within: readonly string[]
}

/** Something the fence itself answers for this workspace: the DNS mediator, the decision endpoint. */
export interface FenceService {
  readonly name: 'dns' | 'decision'
  readonly address: string
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

/** Idle timeouts of flows, constants of the plan. */
export interface IdleTimeouts {
  readonly tcpMs: number
  readonly udpMs: number
  readonly icmpMs: number
}

/** What the DNS mediator needs besides the rules. */
export interface MediatorTerms {
  /** Names with signed addresses that clauses grant: answered from here, never asked of anybody. Sorted by name. */
  readonly pins: readonly { readonly name: string; readonly addresses: readonly string[] }[]
  /** The policy accepts that names which it tells apart share an address (`delegate: shared-address`). */
  readonly sharedAddresses: boolean
}

/** Until then what nothing grants passes and is reported (observe.ts). */
export interface Observation {
  readonly clause: ClauseId
  /** Milliseconds since 1970. */
  readonly untilMs: number
  /** Patterns that the mediator resolves meanwhile, sorted; they open nothing. */
  readonly names: readonly string[]
}

export interface NetworkSlice {
  /** Present exactly when the policy has a section `observe`. */
  readonly observe?: Observation
  /** Present exactly when a DNS mediator answers for this workspace. */
  readonly dns?: MediatorTerms
  readonly services: readonly FenceService[]
  readonly egress: readonly Grant[]
  readonly ingress: readonly Grant[]
  /** Grants of ingress that count only for the peer of an open session (sessions.ts). Present exactly when a clause asks for one. */
  readonly sessions?: readonly Grant[]
  readonly names: readonly NameRule[]
  readonly idle: IdleTimeouts
}

export type FileAccess = 'read-only' | 'read-write' | 'deny'

/** One path of a volume and everything below it. Rights add up; `deny` is stronger than all of them. */
export interface FileRule {
  /** Absolute from the volume's root, in one spelling. */
  readonly path: string
  readonly access: FileAccess
  /** Every clause that says this rule, sorted; the first is the one that a verdict names. */
  readonly clauses: readonly ClauseId[]
}

export interface VolumePlan extends Volume {
  /** Sorted by path, then access. Without rules everything is denied. */
  readonly rules: readonly FileRule[]
  /** The policy leaves what is open alone until it is closed, whatever happens after. Absent: every octet is judged. */
  readonly openFiles?: 'until-closed'
}

export interface StorageSlice {
  readonly backend: BackendName
  readonly domain: TrustDomain
  /** Sorted by name. */
  readonly volumes: readonly VolumePlan[]
}

/** Who holds the process half of a workspace's plan, and where that stands. */
export interface ProcessCarrier {
  readonly backend: BackendName
  readonly domain: TrustDomain
}

/** One executable that may run: its path and, where it is pinned, its content. */
export interface Executable {
  readonly path: string
  readonly digest?: Digest
}

/** What may run and what is looked for. A part that no clause speaks of is absent, and restricts nothing. */
export interface ProcessSlice {
  /** Refuses what may not run before it runs. */
  readonly blocks?: ProcessCarrier
  /** Tells of what ran, and of what it did. */
  readonly detects?: ProcessCarrier
  readonly exec?: {
    readonly clause: ClauseId
    readonly reaction: Reaction
    /** Sorted by path, then digest. */
    readonly allow: readonly Executable[]
  }
  /** The numbers that processes may run as. */
  readonly users?: { readonly clause: ClauseId; readonly uids: readonly number[] }
  readonly activities?: {
    readonly clause: ClauseId
    readonly reaction: Reaction
    /** Sorted. */
    readonly kinds: readonly SuspectActivity[]
  }
}

/** Whose turn it is to hold a clause. */
export type GuaranteeLevel = 'enforced' | 'detected' | 'delegated' | 'refused'

/** What happens to one clause, or to one dimension of it. */
export interface Guarantee {
  readonly workspace: WorkspaceId
  readonly clause: ClauseId
  /** Name and place for people. */
  readonly name: string
  readonly origin: string
  /** undefined: the clause as a fence sees it (addresses, ports); else the dimension that it cannot see. */
  readonly dimension?: Dimension
  readonly level: GuaranteeLevel
  /** The backend that enforces, or why not and the two ways out. */
  readonly why: string
}

export interface WorkspacePlan {
  readonly workspace: WorkspaceId
  /** FencePolicy that applies; undefined means that none does, and everything is denied. */
  readonly policy?: string
  readonly slot: Slot
  readonly backend: BackendName
  readonly domain: TrustDomain
  readonly onExpiry: 'suspend' | 'hold'
  /** `device`: flows of TCP and UDP are kept by the backend's device, which judges replies by them. Absent: as it always does. */
  readonly flows?: 'device'
  readonly network: NetworkSlice
  /** Present where the inventory gives the workspace volumes and a backend here serves files. */
  readonly storage?: StorageSlice
  /** Present where clauses speak of processes and a backend here blocks or detects. */
  readonly process?: ProcessSlice
}

/** What a plan was made from: carried by every event and every piece of evidence. */
export interface PlanSource {
  readonly bundleId: string
  readonly bundleDigest: Digest
  /** Decimal text: it is a u64. */
  readonly policyRevision: string
  readonly epoch: number
  readonly channel: string
  readonly audience: string
  readonly inventoryRevision: string
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number
  readonly expiresAtMs: number
}

export interface Plan {
  readonly format: typeof PLAN_FORMAT
  readonly source: PlanSource
  /** Sorted by workspace id. */
  readonly workspaces: readonly WorkspacePlan[]
  readonly guarantees: readonly Guarantee[]
}

/** A grant that the DNS mediator learnt. It names its clause and the generation that it was judged under. */
export interface LearnedGrant {
  readonly workspace: WorkspaceId
  readonly clause: ClauseId
  readonly name: string
  readonly protocol: 'tcp' | 'udp'
  readonly address: string
  readonly port: number
  readonly generation: number
  readonly expiresAtMs: number
}

/** A peer that has a session of a workspace open, and until when: whatever the broker called it and whoever uses it. */
export interface SessionPeer {
  readonly workspace: WorkspaceId
  /** A canonical address. */
  readonly peer: string
  readonly expiresAtMs: number
}

/** What one backend is given: its workspaces of the plan, and the numbers that it must carry into the kernel. */
export interface PlanSlice {
  readonly generation: number
  readonly planDigest: Digest
  readonly source: PlanSource
  readonly workspaces: readonly WorkspacePlan[]
}
