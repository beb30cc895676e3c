// Runs the program that forgets flows and settles their counts (src/native/bpf/fence_sweep.h), once for each workspace: on
// another thread, because it looks at every flow.

import { ebpfFault } from './errors.js'
import type { Fence } from './fence.js'
import type { Book } from './generation.js'
import { STRUCTS } from './layout.js'
import { errnoName } from './native.js'

const MARK = 8
const PRIORITY = 12

/**
 * Gives how many flows each workspace has left, by its number. `closedMs` says for a workspace how long flows that both ends
 * have closed may stay; 0 for the program's own choice.
 */
export async function sweepAll(
  fence: Fence,
  book: Pick<Book, 'workspaces'>,
  closedMs: (tenant: number) => number = () => 0,
): Promise<Map<number, number>> {
  const { size, fields } = STRUCTS.sluice_ebpf_run
  const frame = Buffer.alloc(64)
  const out = Buffer.alloc(64)
  const kept = new Map<number, number>()
  for (const { tenant, attachment } of book.workspaces) {
    const run = Buffer.alloc(size)
    run.writeUInt32LE(attachment, MARK)
    run.writeUInt32LE(closedMs(tenant), PRIORITY)
    await fence.counting
    fence.sweeps++
    const answer = await fence.native
      .askAsync('run', fence.program('fence_sweep'), frame, frame.length, run, out, 64)
      .finally(() => fence.sweeps--)
    if (answer < 0) throw ebpfFault('EBPF_KERNEL', { what: 'sweeping flows', errno: errnoName(answer) })
    kept.set(tenant, run.readUInt32LE(fields.cb))
  }
  return kept
}
