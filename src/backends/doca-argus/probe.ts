// Whether records of DOCA Argus can be read here: a folder that the configuration names and that is there. That Argus itself runs is
// nothing that its files can say, so the absence of records is never taken for peace.

import { accessSync, constants, statSync } from 'node:fs'
import type { ArgusOptions, Probe, Probed } from '../backend.js'

export function probeArgus(options: ArgusOptions | undefined): Probed {
  return { backend: 'doca-argus', trustDomain: 'host', probes: [records(options)] }
}

function records(options: ArgusOptions | undefined): Probe {
  const feature = 'records'
  if (!options) return { feature, answer: 'no', why: 'agent.yaml has no section doca_argus' }
  const { records: folder } = options
  try {
    accessSync(folder, constants.R_OK | constants.X_OK)
    if (statSync(folder).isDirectory()) return { feature, answer: 'yes', why: `read from ${folder}` }
    return { feature, answer: 'no', why: `${folder} is no folder` }
  } catch (error) {
    return { feature, answer: 'no', why: `${folder}: ${String((error as NodeJS.ErrnoException).code)}` }
  }
}
