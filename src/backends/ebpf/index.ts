// The backend `ebpf`: the fast path on a node without a DPU. Programs at tc on the host's side of each slot judge both
// directions from hashes, prefixes and ranges of the live generation; a swap is one word, a quarantine one map write, and the
// fence stands when the agent is gone.

import type { Backend } from '../backend.js'
import { ebpfCapabilities } from './capabilities.js'
import { EbpfDriver } from './driver.js'
import { lower } from './lower.js'
import type { EbpfProgram } from './program.js'
import { render } from './render.js'

export const ebpfBackend: Backend<EbpfProgram> = {
  name: 'ebpf',
  capabilities: ebpfCapabilities,
  lower,
  render,
  open: (options) => EbpfDriver.open(options),
}
