// Runs the program that forgets flows (src/native/bpf/fence_sweep.h): on another thread, because it looks at every flow.

import { ebpfFault } from './errors.js'
import type { Fence } from './fence.js'
import { STRUCTS } from './layout.js'
import { errnoName } from './native.js'

export interface Swept {
  readonly kept: number
  readonly forgotten: number
}

const PRIORITY = 12

/** `closedMs`: how long flows that both ends have closed may stay; 0 for the program's own choice. */
export async function sweep(fence: Fence, closedMs: number): Promise<Swept> {
  const { size, fields } = STRUCTS.sluice_ebpf_run
  const run = Buffer.alloc(size)
  run.writeUInt32LE(closedMs, PRIORITY)
  const frame = Buffer.alloc(64)
  const out = Buffer.alloc(64)
  const answer = await fence.native.askAsync('run', fence.program('fence_sweep'), frame, frame.length, run, out, 64)
  if (answer < 0) throw ebpfFault('EBPF_KERNEL', { what: 'sweeping flows', errno: errnoName(answer) })
  return { kept: run.readUInt32LE(fields.cb), forgotten: run.readUInt32LE(fields.cb + 4) }
}
