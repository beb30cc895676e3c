// From the process slices of a plan to cgroups and what may run in them. Paths become files of this node when the plan is staged.

import type { PlanSlice } from '../../plan/model.js'
import type { GuardProgram } from './program.js'

export const lower = ({ generation, planDigest, source, workspaces }: PlanSlice): GuardProgram => ({
  generation,
  planDigest,
  deadlineMs: source.expiresAtMs,
  workspaces: workspaces
    .filter(({ process }) => process?.blocks?.backend === 'bpf-lsm')
    .map(({ workspace, slot, onExpiry, process }) => ({
      ...{ workspace, cgroup: slot.interface, onExpiry },
      allow: process?.exec?.allow,
    })),
})
