// From the process slices of a plan to the cgroups that are told of.

import type { PlanSlice } from '../../plan/model.js'
import type { SensorProgram } from './program.js'

export const lower = ({ generation, planDigest, workspaces }: PlanSlice): SensorProgram => ({
  generation,
  planDigest,
  workspaces: workspaces
    .filter(({ process }) => process?.detects?.backend === 'exec-sensor')
    .map(({ workspace, slot, process }) => ({
      workspace,
      cgroup: slot.interface,
      pinned: (process?.exec?.allow ?? []).flatMap(({ path, digest }) => (digest === undefined ? [] : [path])),
    })),
})
