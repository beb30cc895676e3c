// The open device: its scaffold, the parents of what is live, and the ports of the slots. It belongs to this process until it is
// closed, and closes everything while nothing leads into a workspace.

import { docaFault } from './errors.js'
import type { Handle, Native, Target } from './native.js'
import { Parents } from './parents.js'
import type { DocaWorkspace } from './program.js'
import { COUNTERS } from './room.js'
import { buildScaffold } from './scaffold.js'

export class Device {
  /** Port ids by VUID; a port stays started until the device is closed. */
  private readonly started = new Map<string, number>()

  private constructor(
    private readonly native: Native,
    private readonly numbers: ReadonlyMap<string, number>,
    readonly parents: Parents,
    /** Where refused packets go, and the entry that counts them; undefined: nobody sees them. */
    readonly refused: Target,
    readonly sampled: Handle | undefined,
  ) {}

  /** SLUICE_DOCA_PCI names it; otherwise the first. Throws DOCA_DEVICE. */
  static open(native: Native, waitMs: number): Device {
    const pci = process.env.SLUICE_DOCA_PCI ?? native.devices()[0]
    if (pci === undefined) throw docaFault('DOCA_DEVICE', { what: 'looking for a device', why: 'there is none' })
    native.openDevice(pci, COUNTERS)
    try {
      // A root without entries would otherwise hand everything to the kernel; releases that cannot say so have an explicit miss.
      native.ask('defaultMiss', 1)
      const numbers = new Map(native.representors().map(({ vuid }, i) => [vuid, i + 1]))
      const scaffold = buildScaffold(native, waitMs, native.ask('samplesOpen') >= 0)
      const parents = new Parents(native, scaffold, native.facts().updates)
      return new Device(native, numbers, parents, scaffold.refused, scaffold.sampled)
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
