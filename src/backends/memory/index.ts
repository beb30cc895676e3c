// The backend `memory`: the plan judged by `evaluate` itself, in this process. It fences no interface; it is the reference
// that the other backends are compared with, and what tests run against without a kernel. Its program is the slice.

import { canonicalize, type Json } from '../../base/canonical.js'
import type { PlanSlice } from '../../plan/model.js'
import type { Backend } from '../backend.js'
import { memoryCapabilities } from './capabilities.js'
import { MemoryDriver } from './driver.js'

export const memoryBackend: Backend<PlanSlice> = {
  name: 'memory',
  capabilities: memoryCapabilities,
  lower: (slice) => slice,
  render: (program) => `${canonicalize(program as unknown as Json)}\n`,
  open: () => Promise.resolve(new MemoryDriver()),
}
