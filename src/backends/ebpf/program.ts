// What the eBPF backend loads for one generation: for each map one block of keys and one of values, in the layout of the
// kernel program, ready to be handed over in one call. Inert: numbers that only the machine knows (interface indexes,
// workspace numbers, the deadline on the boot-time clock) are filled in when it is staged.

import type { Digest } from '../../base/digest.js'
import type { SlotKind } from '../../plan/inventory.js'
import type { WorkspaceId } from '../../plan/model.js'

/** `count` keys and `count` values, one after another. */
export interface Table {
  readonly keys: Uint8Array
  readonly values: Uint8Array
  readonly count: number
}

/** Rows of an array map. */
export interface Rows {
  readonly values: Uint8Array
  readonly count: number
}

export interface EbpfWorkspace {
  readonly workspace: WorkspaceId
  readonly kind: SlotKind
  readonly interface: string
  readonly suspendsOnExpiry: boolean
  /** Until when what nothing grants passes, milliseconds since 1970; the record holds the clause. */
  readonly observedUntilMs?: number
  /** Ids of its name clauses, sorted: what learned grants may name. */
  readonly clauses: readonly string[]
  /** `struct fence_workspace` without the numbers of the machine. */
  readonly record: Uint8Array
}

export interface EbpfProgram {
  readonly generation: number
  readonly planDigest: Digest
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number
  /** In the order of the slice; a workspace's place is its index in every key. */
  readonly workspaces: readonly EbpfWorkspace[]
  /** Grants of one address and one port, in buckets of a cache line (buckets.ts). */
  readonly exact: Rows & { readonly mask4: number; readonly mask6: number }
  /** Own addresses, gateways, services, live clauses, and exact grants that found their bucket full. */
  readonly facts: Table
  readonly prefixes: Table
  readonly ranges: Rows
  /** One row for each grant, by which a counter's number becomes a workspace and a grant's id again (layout.ts, GRANT_ROW). */
  readonly grants: Rows
}
