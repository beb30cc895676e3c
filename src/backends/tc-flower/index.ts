// The backend `tc-flower`: the fence as filters of traffic control, on the representors of a switch whose hardware takes them, or
// in software where the configuration asks for it. Needs no SDK: what a fleet without a DOCA build can use.

import type { Backend } from '../backend.js'
import { flowerCapabilities } from './capabilities.js'
import { FlowerDriver } from './driver.js'
import { lower } from './lower.js'
import type { FlowerProgram } from './program.js'
import { render } from './render.js'

export const tcFlowerBackend: Backend<FlowerProgram> = {
  name: 'tc-flower',
  capabilities: flowerCapabilities,
  lower,
  render,
  open: (options) => FlowerDriver.open(options),
}
