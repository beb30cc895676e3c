// What bpf-lsm is given: which cgroups are fenced, what may run in each, and what each may do on its volumes.

import type { Digest } from '../../base/digest.js'
import type { Executable, FileRule, WorkspaceId } from '../../plan/model.js'

export interface GuardedVolume {
  readonly name: string
  /** Where its files lie, and are judged. */
  readonly source: string
  readonly rules: readonly FileRule[]
}

export interface GuardedWorkspace {
  readonly workspace: WorkspaceId
  /** Below the cgroup root. */
  readonly cgroup: string
  /** undefined: no clause lists what may run. */
  readonly allow: readonly Executable[] | undefined
  /** Sorted by name; empty: files are not judged. */
  readonly volumes: readonly GuardedVolume[]
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
