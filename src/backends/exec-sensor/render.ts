// Whom exec-sensor tells of, for people, golden files and audit.

import type { SensorProgram } from './program.js'

export const render = ({ generation, planDigest, workspaces }: SensorProgram): string =>
  [
    `generation ${generation} ${planDigest}`,
    ...workspaces.map(({ workspace, cgroup }) => `${workspace} in ${cgroup}`),
    ...(workspaces.length === 0 ? ['nobody is told of'] : []),
    '',
  ].join('\n')
