// Puts one frame to the loaded fence program with BPF_PROG_TEST_RUN and reads the verdict that the program notes in skb->cb.

import type { Fence } from '../../../src/backends/ebpf/fence.js'
import {
  ALLOW_REASONS,
  REFUSALS,
  STRUCTS,
  VERDICT_DROP,
  VERDICT_MARK,
  VERDICT_REFUSAL_SHIFT,
} from '../../../src/backends/ebpf/layout.js'
import { DROP_REASONS } from '../../../src/plan/state.js'

export const TC_PASS = -1
export const TC_SHOT = 2
export const TC_REDIRECT = 7

export interface Judged {
  /** What the program returned. */
  readonly action: number
  /** `allow REASON` or `drop REASON REFUSAL`. */
  readonly said: string
  /** Number of the grant in its generation; -1 for none. */
  readonly grant: number
  readonly frame: Uint8Array
  readonly mark: number
}

const RUN = STRUCTS.sluice_ebpf_run
const INGRESS_IFINDEX = 4
const REPEAT = 16
const NANOSECONDS = 24
const OUT_LENGTH = 36

export interface RunOptions {
  readonly direction: 'from' | 'to'
  readonly ifindex: number
  /** The interface that a packet towards the workspace came in by; 0 when the node itself sent it. */
  readonly ingress?: number
  readonly mark?: number
  readonly repeat?: number
}

const out = Buffer.alloc(4096)

/** undefined when the kernel will not take the frame. */
export function judge(fence: Fence, frame: Uint8Array, options: RunOptions): Judged | undefined {
  const run = Buffer.alloc(RUN.size)
  run.writeUInt32LE(options.ifindex, RUN.fields.ifindex)
  run.writeUInt32LE(options.ingress ?? 0, INGRESS_IFINDEX)
  run.writeUInt32LE(options.mark ?? 0, 8)
  run.writeUInt32LE(options.repeat ?? 1, REPEAT)
  const program = fence.program(options.direction === 'from' ? 'fence_from' : 'fence_to')
  const answer = fence.native.ask('run', program, frame, frame.length, run, out, out.length)
  if (answer === -22) return undefined
  if (answer < 0) throw new Error(`test run: ${answer}`)
  const word = run.readUInt32LE(RUN.fields.cb)
  const action = run.readInt32LE(RUN.fields.verdict)
  if ((word & 0xffff0000) >>> 0 !== VERDICT_MARK) throw new Error(`no verdict in cb: ${word.toString(16)}, ${action}`)
  const code = word & 0xff
  const said =
    (word & VERDICT_DROP) === 0
      ? `allow ${ALLOW_REASONS[code]}`
      : `drop ${DROP_REASONS[code]} ${REFUSALS[(word >> VERDICT_REFUSAL_SHIFT) & 3]}`
  return {
    action,
    said,
    grant: run.readUInt32LE(RUN.fields.cb + 4) - 1,
    frame: Uint8Array.from(out.subarray(0, run.readUInt32LE(OUT_LENGTH))),
    mark: run.readUInt32LE(RUN.fields.mark_out),
  }
}

/** Mean nanoseconds of a run. */
export function time(fence: Fence, program: number, frame: Uint8Array, ifindex: number, repeat: number): number {
  const run = Buffer.alloc(RUN.size)
  run.writeUInt32LE(ifindex, RUN.fields.ifindex)
  run.writeUInt32LE(repeat, REPEAT)
  const answer = fence.native.ask('run', program, frame, frame.length, run, out, out.length)
  if (answer < 0) throw new Error(`test run: ${answer}`)
  return run.readUInt32LE(NANOSECONDS)
}
