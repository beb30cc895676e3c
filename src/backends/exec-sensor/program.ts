// What exec-sensor is given: which cgroups it tells of, and which executables it has to look into.

import type { Digest } from '../../base/digest.js'
import type { WorkspaceId } from '../../plan/model.js'

export interface SensedWorkspace {
  readonly workspace: WorkspaceId
  /** Below the cgroup root. */
  readonly cgroup: string
  /** Paths whose content a clause pins. */
  readonly pinned: readonly string[]
}

export interface SensorProgram {
  readonly generation: number
  readonly planDigest: Digest
  /** Sorted by workspace. */
  readonly workspaces: readonly SensedWorkspace[]
}
