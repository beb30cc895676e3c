// The open device: its scaffold, the parents of what is live, and the ports of the slots. It belongs to this process until it is
// closed, and closes everything while nothing leads into a workspace.

import type { Ends } from './chains.js'
import { docaFault } from './errors.js'
import type { Handle, Native } from './native.js'
import { Parents } from './parents.js'
import type { DocaWorkspace } from './program.js'
import { CONNECTION_COUNTERS, CONNECTIONS, COUNTERS } from './room.js'
import { buildScaffold, type Scaffold } from './scaffold.js'

/** Octets of a refused packet that are worth keeping, and of a first one, which goes on. */
const GLIMPSE = 2048
const WHOLE = 9216

/** Whether connections are tracked: where library and device can, unless SLUICE_DOCA_TRACKING says `off`. */
export const tracks = (native: Native): boolean => native.facts().tracking && process.env.SLUICE_DOCA_TRACKING !== 'off'

export class Device {
  /** Port ids by VUID; a port stays started until the device is closed. */
  private readonly started = new Map<string, number>()

  private constructor(
    private readonly native: Native,
    private readonly numbers: ReadonlyMap<string, number>,
    readonly parents: Parents,
    private readonly scaffold: Scaffold,
  ) {}

  /** The entry that counts refused packets; undefined: nobody sees them. */
  get sampled(): Handle | undefined {
    return this.scaffold.sampled
  }

  /** The pipe of tracked connections; undefined: this device tracks none. */
  get tracker(): Handle | undefined {
    return this.scaffold.tracked?.tracker
  }

  get ends(): Ends {
    const { refused, tracked } = this.scaffold
    return { refused, track: tracked ? { kind: 'pipe', pipe: tracked.tracker } : { kind: 'drop' } }
  }

  /** SLUICE_DOCA_PCI names it; otherwise the first. Throws DOCA_DEVICE. */
  static open(native: Native, waitMs: number): Device {
    const pci = process.env.SLUICE_DOCA_PCI ?? native.devices()[0]
    if (pci === undefined) throw docaFault('DOCA_DEVICE', { what: 'looking for a device', why: 'there is none' })
    const tracking = tracks(native)
    native.openDevice(pci, COUNTERS + (tracking ? CONNECTION_COUNTERS : 0), tracking ? CONNECTIONS : 0)
    try {
      // A root without entries would otherwise hand everything to the kernel; releases that cannot say so have an explicit miss.
      native.ask('defaultMiss', 1)
      const numbers = new Map(native.representors().map(({ vuid }, i) => [vuid, i + 1]))
      for (const queue of tracking ? [1, 2] : []) native.call('opening a queue', 'queueOpen', queue, WHOLE)
      const scaffold = buildScaffold(native, waitMs, native.ask('queueOpen', 0, GLIMPSE) >= 0, tracking)
      const parents = new Parents(native, scaffold, native.facts().updates)
      return new Device(native, numbers, parents, scaffold)
    } catch (error) {
      native.call('closing the device', 'close')
      throw error
    }
  }

  /** The port of a slot, started if it was not. Throws DOCA_SLOT_ABSENT, DOCA_DEVICE. */
  portOf(at: DocaWorkspace): number {
    const started = this.started.get(at.vuid)
    if (started !== undefined) return started
    const port = this.numbers.get(at.vuid)
    if (port === undefined) throw docaFault('DOCA_SLOT_ABSENT', { workspace: at.workspace, vuid: at.vuid })
    this.native.call(`starting ${at.vuid}`, 'portStart', at.vuid, port)
    this.started.set(at.vuid, port)
    return port
  }

  /** False once it was reset: then everything on it is gone. */
  isWhole(): boolean {
    return this.native.ask('settle', 0) >= 0 && this.native.inForce(this.parents.handles())
  }

  close(): void {
    this.native.call('closing the device', 'close')
  }
}
