// From the process and storage slices of a plan to cgroups, what may run in them, and what they may do on their volumes. Paths become
// files of this node when the plan is staged.

import type { PlanSlice } from '../../plan/model.js'
import type { GuardProgram } from './program.js'

export const lower = ({ generation, planDigest, source, workspaces }: PlanSlice): GuardProgram => ({
  generation,
  planDigest,
  deadlineMs: source.expiresAtMs,
  workspaces: workspaces
    .filter(({ process, storage }) => process?.blocks?.backend === 'bpf-lsm' || storage?.backend === 'bpf-lsm')
    .map(({ workspace, slot, onExpiry, process, storage }) => ({
      ...{ workspace, cgroup: slot.interface, onExpiry },
      allow: process?.blocks?.backend === 'bpf-lsm' ? process.exec?.allow : undefined,
      volumes:
        storage?.backend === 'bpf-lsm'
          ? storage.volumes.map(({ name, source, rules }) => ({ name, source, rules }))
          : [],
    })),
})
