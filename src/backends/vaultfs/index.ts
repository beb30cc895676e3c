// The backend `vaultfs`: volumes of workspaces served through FUSE by a daemon outside the workspace, every operation judged by
// the file authorizer against the compiled table.

import { lower } from '../../vault/lower.js'
import type { VaultProgram } from '../../vault/program.js'
import { render } from '../../vault/render.js'
import type { Backend } from '../backend.js'
import { vaultfsCapabilities } from './capabilities.js'
import { VaultfsDriver } from './driver.js'

export const vaultfsBackend: Backend<VaultProgram> = {
  name: 'vaultfs',
  capabilities: vaultfsCapabilities,
  lower,
  render,
  open: (options) => Promise.resolve(new VaultfsDriver(options)),
}
