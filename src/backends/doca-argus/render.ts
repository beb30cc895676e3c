// Whom doca-argus watches, and what Argus is told, for people, golden files and audit.

import type { ArgusProgram } from './program.js'

export const render = ({ generation, planDigest, watched, configuration }: ArgusProgram): string =>
  [
    `generation ${generation} ${planDigest}`,
    ...watched.map(({ workspace, system, vuid }) => `${workspace}: ${system} is ${vuid}`),
    ...(watched.length === 0 ? ['nobody is watched'] : []),
    configuration,
  ].join('\n')
