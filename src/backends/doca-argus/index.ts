// The backend `doca-argus`: records that NVIDIA DOCA Argus writes about the machines behind the card, judged against the plan. It
// detects; what follows from it is done by the fence.

import type { Backend } from '../backend.js'
import { argusCapabilities } from './capabilities.js'
import { ArgusDriver } from './driver.js'
import { lower } from './lower.js'
import type { ArgusProgram } from './program.js'
import { render } from './render.js'

export const docaArgusBackend: Backend<ArgusProgram> = {
  name: 'doca-argus',
  capabilities: argusCapabilities,
  lower,
  render,
  open: (options) => Promise.resolve(new ArgusDriver(options)),
}
