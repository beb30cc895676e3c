// The backend `doca-flow`: the fence on the far side of the VF, in pipes of a BlueField's eSwitch. Exact grants, prefixes and
// port ranges are looked up in hardware, each workspace in chains of its own; a generation is built beside the live one and
// switched at its parents.

import type { Backend } from '../backend.js'
import { docaCapabilities } from './capabilities.js'
import { DocaDriver } from './driver.js'
import { lower, workspaceOf } from './lower.js'
import type { DocaProgram } from './program.js'
import { render } from './render.js'
import { needOf } from './room.js'

export const docaFlowBackend: Backend<DocaProgram> = {
  name: 'doca-flow',
  capabilities: docaCapabilities,
  lower,
  need: (workspaces) => needOf(workspaces.map(workspaceOf)),
  render,
  open: (options) => DocaDriver.open(options),
}
