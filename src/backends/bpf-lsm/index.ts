// The backend `bpf-lsm`: what may run in workspaces that are cgroups, judged by the kernel before it runs.

import type { Backend } from '../backend.js'
import { guardCapabilities } from './capabilities.js'
import { GuardDriver } from './driver.js'
import { lower } from './lower.js'
import type { GuardProgram } from './program.js'
import { render } from './render.js'

export const bpfLsmBackend: Backend<GuardProgram> = {
  name: 'bpf-lsm',
  capabilities: guardCapabilities,
  lower,
  render,
  open: (options) => Promise.resolve(new GuardDriver(options)),
}
