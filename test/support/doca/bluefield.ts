// The software BlueField in this process, as the backend and a test see it: the backend through the shim, the test through the
// emulator's own calls. Builds both when the sources are newer.

import { execFileSync } from 'node:child_process'
import koffi from 'koffi'

const root = new URL('../../../', import.meta.url).pathname

export const FATES = ['dropped', 'port', 'queue', 'kernel', 'bridge'] as const

export interface Fate {
  readonly kind: (typeof FATES)[number]
  readonly port: number
  readonly frame: Buffer
}

export interface State {
  readonly pipes: number
  readonly entries: number
  readonly pending: number
  readonly counters: number
  readonly violations: number
}

export const LIMITS = { pipes: 1, entries: 2, tracking: 5 } as const
export const FAULTS = { entry: 0, late: 1, reset: 2, pipe: 3 } as const

const RESULT = 16 + 9216

export class BlueField {
  private readonly result = Buffer.alloc(RESULT + 16)

  private constructor(
    private readonly setTopology: (text: string) => number,
    private readonly injectFrame: (port: number, frame: Buffer, length: number, out: Buffer) => number,
    private readonly advanceBy: (ms: number) => void,
    private readonly makeFault: (fault: number, n: number) => void,
    private readonly readState: (out: Buffer) => void,
    private readonly setLimit: (limit: number, value: number) => void,
  ) {}

  static load(): BlueField {
    execFileSync('make', ['-s', '-f', 'doca-shims/Makefile'], { cwd: root, stdio: 'inherit' })
    const library = koffi.load(`${root}build/doca/libdoca_emulator.so`)
    return new BlueField(
      library.func('int doca_emulator_topology(const char *text)'),
      library.func('int doca_emulator_inject(uint16_t port, void *frame, uint32_t length, void *out)'),
      library.func('void doca_emulator_advance(uint64_t ms)'),
      library.func('void doca_emulator_fault(int fault, uint64_t n)'),
      library.func('void doca_emulator_state(void *out)'),
      library.func('void doca_emulator_limit(int limit, uint64_t value)'),
    )
  }

  /** Port 0 is the wire, ports 1 and on are these representors. */
  topology(vuids: readonly string[]): void {
    const lines = ['dev 0000:03:00.0 p0', ...vuids.map((vuid, i) => `rep 0000:03:00.0 pf0vf${i} ${vuid}`)]
    this.describe(lines.join('\n'))
  }

  /** A topology in full, as doca_emulator.h describes it. */
  describe(text: string): void {
    if (this.setTopology(text) !== 0) throw new Error('the topology was not taken')
  }

  inject(port: number, frame: Uint8Array): Fate {
    // An empty buffer would cross as a null pointer.
    if (this.injectFrame(port, Buffer.concat([frame, Buffer.alloc(1)]), frame.length, this.result) !== 0)
      throw new Error(`port ${port} is not started`)
    const length = this.result.readUInt32LE(12)
    return {
      kind: FATES[this.result.readUInt32LE(0)] ?? 'dropped',
      port: this.result.readUInt16LE(4),
      frame: this.result.subarray(16, 16 + length),
    }
  }

  advance(ms: number): void {
    this.advanceBy(ms)
  }

  fault(fault: keyof typeof FAULTS, n: number): void {
    this.makeFault(FAULTS[fault], n)
  }

  limit(limit: keyof typeof LIMITS, value: number): void {
    this.setLimit(LIMITS[limit], value)
  }

  state(): State {
    const out = Buffer.alloc(40)
    this.readState(out)
    const [pipes, entries, pending, counters, violations] = [0, 8, 16, 24, 32].map((at) =>
      Number(out.readBigUInt64LE(at)),
    ) as [number, number, number, number, number]
    return { pipes, entries, pending, counters, violations }
  }
}
