// What bpf-lsm is given: which cgroups are fenced, and what may run in each.

import type { Digest } from '../../base/digest.js'
import type { Executable, WorkspaceId } from '../../plan/model.js'

export interface GuardedWorkspace {
  readonly workspace: WorkspaceId
  /** Below the cgroup root. */
  readonly cgroup: string
  /** undefined: no clause lists what may run. */
  readonly allow: readonly Executable[] | undefined
  /** On expiry of the plan: `hold` goes on. */
  readonly onExpiry: 'suspend' | 'hold'
}

export interface GuardProgram {
  readonly generation: number
  readonly planDigest: Digest
  readonly deadlineMs: number
  /** Sorted by workspace. */
  readonly workspaces: readonly GuardedWorkspace[]
}
