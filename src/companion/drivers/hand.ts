// What one driver does in its own way, of all that a driver has to do (controlled.ts): whether it can be used here, how a machine is
// started, what its devices are called then, and how it is told to go on, to pause and to shut down. It keeps nothing of its own.

import type { MachineGroups } from './cgroup.js'
import type { DriverProbe, MachineDriver, MachineId, MachineSpec } from './driver.js'
import type { MachineFolder } from './machine-folder.js'
import type { Started } from './qemu-launch.js'
import type { Expected } from './qemu-readback.js'
import type { Qmp } from './qmp.js'

export interface Making {
  readonly folder: MachineFolder
  readonly groups: MachineGroups
  readonly accelerator: 'kvm' | 'tcg'
  /** Throws when the making was overtaken. */
  readonly stop: () => void
  /** Aborted when it was. */
  readonly over: AbortSignal
}

/** How one driver starts a machine and tells it what to do. Everything else is the same for all of them. */
export interface Hand {
  readonly name: MachineDriver['name']
  probe(): Promise<DriverProbe>
  /** Throws MACHINE_UNSUPPORTED for what this driver has no way to give. */
  refuse(spec: MachineSpec): void
  /** A process that is on its way to its control socket, CPUs stopped. Throws what it could not have, and leaves the undoing. */
  make(spec: MachineSpec, making: Making): Promise<Started>
  /** Processes of it that its group does not have, where somebody else starts them. */
  strays(id: MachineId): Promise<readonly number[]>
  expected(spec: MachineSpec): Expected
  /** What else this driver has to say of a machine, beside QEMU and the kernel. */
  alsoSays(spec: MachineSpec, pid: number): Promise<readonly string[]>
  resume(spec: MachineSpec, qmp: Qmp): Promise<void>
  pause(spec: MachineSpec, qmp: Qmp): Promise<void>
  /** As a power button. */
  shutDown(spec: MachineSpec, qmp: Qmp): Promise<void>
  /** What the machine's console said since the last time goes to the folder, where somebody has to carry it there. */
  drain(qmp: Qmp, folder: MachineFolder): Promise<void>
  /** No process is left of it: whoever else knew it is told, for a bounded time. Never throws. */
  gone(id: MachineId): Promise<void>
}
