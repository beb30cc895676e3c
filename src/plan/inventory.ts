// The inventory: which workspaces this node has, and the slot, MAC and addresses that each is bound to (design section 1).
// It arrives signed; what is here is its meaning after verification.

import type { WorkspaceId } from './model.js'
import type { Subjects } from './subject.js'

export type SlotKind = 'veth' | 'tap' | 'representor' | 'bridge-port' | 'cgroup'

/** The place where a workspace's traffic appears, and what may be seen there. */
export interface Slot {
  readonly kind: SlotKind
  /** Interface name on the fence's side; for a cgroup, its path below the cgroup root. */
  readonly interface: string
  /** BlueField's stable name of a function, for representors. */
  readonly vuid?: string
  /** The workspace's MAC; '' for a cgroup, which has no link layer. */
  readonly mac: string
  /** The workspace's own addresses, canonical, IPv4 first; its EUI-64 link-local is implied. */
  readonly addresses: readonly string[]
  readonly gateway: {
    /** MAC of the fence's side; '' for a cgroup. */
    readonly mac: string
    readonly addresses: readonly string[]
  }
}

/** A directory of this node that a workspace sees through a storage backend, and through nothing else. */
export interface Volume {
  /** The name by which clauses speak of it. */
  readonly name: string
  /** Absolute path of what is served. No two volumes of a node lie in one another. */
  readonly source: string
  /** Absolute path where the fenced view appears, for the workspace's runtime to bind or export. */
  readonly mount: string
  /** Absolute path at which the workspace itself sees it, where the inventory says so. No two of a workspace lie in one another. */
  readonly at?: string
  /** By which it reaches a machine behind a card, where a card serves it (`doca-vault`). No two volumes share one. */
  readonly function?: VolumeFunction
}

/** A virtio-fs function of the card, by the number that the card gives it, and the tag that the guest mounts. */
export interface VolumeFunction {
  readonly vuid: string
  /** 1 to 20 octets. */
  readonly tag: string
}

export interface InventoryEntry {
  readonly workspace: WorkspaceId
  readonly slot: Slot
  /** Sorted by name; absent where there are none. */
  readonly volumes?: readonly Volume[]
  /** Whose it is, for security events; no part of a plan. */
  readonly subjects?: Subjects
}

export interface Inventory {
  readonly audience: string
  /** Decimal text of a u64, monotonic. */
  readonly revision: string
  /** Sorted by workspace id; no two share a slot or an address. */
  readonly entries: readonly InventoryEntry[]
}
