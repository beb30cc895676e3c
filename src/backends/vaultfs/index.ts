// The backend `vaultfs`: volumes of workspaces served through FUSE by a daemon outside the workspace, every operation judged by
// the file authorizer against the compiled table.

import type { Backend } from '../backend.js'
import { vaultfsCapabilities } from './capabilities.js'
import { VaultfsDriver } from './driver.js'
import { lower } from './lower.js'
import type { VaultProgram } from './program.js'
import { render } from './render.js'

export const vaultfsBackend: Backend<VaultProgram> = {
  name: 'vaultfs',
  capabilities: vaultfsCapabilities,
  lower,
  render,
  open: (options) => Promise.resolve(new VaultfsDriver(options)),
}
