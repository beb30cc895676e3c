// The nftables backend: an ordinary Linux node as the fence of veth, tap and representor workspaces. The pure half stands
// here; the driver, with libnftables and the native library, is loaded only when it is opened.

import type { Backend } from '../backend.js'
import { capabilities } from './capabilities.js'
import { lower } from './lower.js'
import type { NftProgram } from './program.js'
import { render } from './render.js'

export const nftablesBackend: Backend<NftProgram> = {
  name: 'nftables',
  capabilities,
  lower,
  render,
  open: async (options) => (await import('./driver.js')).openDriver(options),
}
