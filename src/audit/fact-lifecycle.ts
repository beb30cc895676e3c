// What a companion did to a workspace: one fact for each operation, when it was done, taken back or ended by a kill, and one more each time
// that something of it was done which had failed at first. It may come twice after a crash, under the same request id, and never not at
// all. Values only, like every fact.

import type { Digest } from '../base/digest.js'
import type { WorkspaceContext } from './fact.js'

export interface LifecycleFact {
  readonly kind: 'workspace-changed'
  readonly atMs: number
  /** The attachment is the one that this operation began, and empty where it began none. */
  readonly workspace: WorkspaceContext
  /** create, start, stop, rebake, revoke, kill, delete, reclaim. */
  readonly change: string
  /** absent, stopped, running, revoked, killed. */
  readonly state: string
  /** Of an operation that was taken back. */
  readonly failure?: { readonly code: string; readonly say: string }
  /** Steps that failed and are tried again. */
  readonly owed: readonly string[]
  readonly steps: readonly {
    readonly step: string
    readonly outcome: string
    readonly elapsedMs: number
    /** Of the agent's signed receipt, of a fence. */
    readonly receipt?: Digest
  }[]
  /** Set: this request was told before as not wholly done. These are the steps that were tried again since then. */
  readonly owedSinceMs?: number
  readonly by: string
  readonly reason: string
  readonly requestId: string
  /** Empty where nobody knows. */
  readonly user: string
  /** `name@version`. */
  readonly image: string
  readonly leaseGeneration: number
  readonly elapsedMs: number
}
