// The backend `exec-sensor`: the kernel tells of what runs in workspaces that are cgroups; what follows is done by the fence.

import type { Backend } from '../backend.js'
import { sensorCapabilities } from './capabilities.js'
import { SensorDriver } from './driver.js'
import { lower } from './lower.js'
import type { SensorProgram } from './program.js'
import { render } from './render.js'

export const execSensorBackend: Backend<SensorProgram> = {
  name: 'exec-sensor',
  capabilities: sensorCapabilities,
  lower,
  render,
  open: (options) => Promise.resolve(new SensorDriver(options)),
}
