// The one command type behind every interface (design section 7): command line, socket, gRPC, channels and timers. Whoever made a command says who asked, and gives it an id for the trail.

import type { BundleBytes } from '../bundle/model.js'
import type { SlotKind } from '../plan/inventory.js'
import type { WorkspaceId } from '../plan/model.js'

/** The signed inventory as it was read. */
export interface InventoryBytes {
  // untrusted: both
  readonly yaml: Uint8Array
  readonly signature: Uint8Array
  /** Name of the document for messages. */
  readonly file: string
}

interface CommandBase {
  /** Identifies the command in events and receipts. */
  readonly commandId: string
  /** Who asked: a SPIFFE URI, or `user:NAME` for somebody at this node. */
  readonly by: string
}

export interface ApplyCommand extends CommandBase {
  readonly kind: 'apply'
  /** Brings the bundle in by its transport, once; throws that transport's faults. */
  readonly fetch: () => Promise<BundleBytes>
  readonly inventory: InventoryBytes
  /** Judge bytes again that were refused before: an operator's command does, a channel never (design section 7). */
  readonly retry: boolean
  // untrusted:
  /** The freshness statement that came with it. */
  readonly freshness?: Uint8Array
}

/** What is on record stands, or everything is denied: before anything else is done (stand.ts). */
export interface StandCommand extends CommandBase {
  readonly kind: 'stand'
  readonly inventory?: InventoryBytes
}

/** Does what time asks for: lifts that are over, expiry, staleness. */
export interface TendCommand extends CommandBase {
  readonly kind: 'tend'
  // untrusted:
  /** Taken in first. */
  readonly freshness?: Uint8Array
}

/** Puts back what is on record wherever what is live differs from it. */
export interface RepairCommand extends CommandBase {
  readonly kind: 'repair'
}

/** Follows statements of later roots, oldest first. */
export interface RootsCommand extends CommandBase {
  readonly kind: 'roots'
  // untrusted:
  readonly statements: readonly Uint8Array[]
}

export interface BreakglassCommand extends CommandBase {
  readonly kind: 'breakglass'
  // untrusted:
  readonly statement: Uint8Array
}

/** Tells the trail of something that was refused before it came here. */
export interface RefusedCommand extends CommandBase {
  readonly kind: 'refused'
  readonly code: string
  readonly message: string
}

export interface QuarantineCommand extends CommandBase {
  readonly kind: 'quarantine-set' | 'quarantine-lift'
  readonly workspace: WorkspaceId
  readonly reason: string
}

export interface AttachCommand extends CommandBase {
  readonly kind: 'attach'
  readonly workspace: WorkspaceId
  /** What the caller says that the slot is, or leaves out; the inventory decides. */
  readonly slot: { readonly kind?: SlotKind; readonly interface?: string }
  /** Absent: one more than the last. */
  readonly leaseGeneration?: number
  /** Path of the workspace's network namespace, for a veth pair that the agent makes. */
  readonly netns?: string
}

export interface DetachCommand extends CommandBase {
  readonly kind: 'detach'
  readonly workspace: WorkspaceId
  /** Absent: the one that is attached. */
  readonly leaseGeneration?: number
}

/** The access broker let somebody in: its peer may come where signed clauses ask for a session. */
export interface SessionOpenCommand extends CommandBase {
  readonly kind: 'session-open'
  readonly workspace: WorkspaceId
  // untrusted: the broker's words.
  readonly sessionId: string
  readonly user: string
  readonly peer: string
  readonly lifetimeMs: number
}

export interface SessionCloseCommand extends CommandBase {
  readonly kind: 'session-close'
  readonly workspace: WorkspaceId
  readonly sessionId: string
  /** A security event took it back. */
  readonly revoked?: true
}

export type Command =
  | ApplyCommand
  | StandCommand
  | TendCommand
  | RepairCommand
  | RootsCommand
  | BreakglassCommand
  | RefusedCommand
  | QuarantineCommand
  | AttachCommand
  | DetachCommand
  | SessionOpenCommand
  | SessionCloseCommand

/** The command of one kind. `Extract` would lose the two kinds that share one shape. */
export type CommandOf<K extends Command['kind'], C = Command> = C extends { readonly kind: infer J }
  ? [K] extends [J]
    ? C
    : never
  : never
