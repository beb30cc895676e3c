// What whoever serves volumes is given (vaultfs, doca-vault): the compiled table, the numbers that it carries, and the volumes that it serves, for reading back.

import type { Digest } from '../base/digest.js'
import type { VolumePlan, WorkspaceId } from '../plan/model.js'

export interface ServedVolume {
  readonly workspace: WorkspaceId
  /** On expiry of the plan: `hold` goes on serving. */
  readonly onExpiry: 'suspend' | 'hold'
  readonly volume: VolumePlan
}

export interface VaultProgram {
  readonly generation: number
  readonly planDigest: Digest
  readonly deadlineMs: number
  /** Every workspace of the slice, sorted, also one without volumes. */
  readonly workspaces: readonly WorkspaceId[]
  /** Sorted by workspace and name, as in the table. */
  readonly volumes: readonly ServedVolume[]
  readonly table: Uint8Array
}
