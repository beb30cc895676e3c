// The one command type behind every interface (design section 7): command line now, gRPC, channels and timers as they come.
// Whoever made a command says who asked, and gives it an id for the trail.

import type { BundleBytes } from '../bundle/model.js'
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
}

export interface QuarantineCommand extends CommandBase {
  readonly kind: 'quarantine-set' | 'quarantine-lift'
  readonly workspace: WorkspaceId
  readonly reason: string
}

export interface UninstallCommand extends CommandBase {
  readonly kind: 'uninstall'
}

export type Command = ApplyCommand | QuarantineCommand | UninstallCommand
