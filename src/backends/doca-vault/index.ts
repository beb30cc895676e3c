// The backend `doca-vault`: volumes of machines behind a BlueField, served by the card through DevEmu virtio-fs and judged there by the
// same authorizer and the same compiled table as vaultfs. NVIDIA's DOCA Vault has no published interface; nothing here is derived from
// it or compatible with it.

import { lower } from '../../vault/lower.js'
import type { VaultProgram } from '../../vault/program.js'
import { render } from '../../vault/render.js'
import type { Backend } from '../backend.js'
import { docaVaultCapabilities } from './capabilities.js'
import { DocaVaultDriver } from './driver.js'

export const docaVaultBackend: Backend<VaultProgram> = {
  name: 'doca-vault',
  capabilities: docaVaultCapabilities,
  lower,
  render,
  open: (options) => Promise.resolve(new DocaVaultDriver(options)),
}
