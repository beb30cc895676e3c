// Driver `qemu`: machines as processes of this host that the companion starts itself. QEMU gets descriptors and a command line that says
// everything (qemu-make.ts), and is asked and told over its own control socket; no daemon is needed. The rest is controlled.ts.

import { digestOfText } from '../../base/digest.js'
import { MachineGroups } from './cgroup.js'
import { ControlledDriver } from './controlled.js'
import type { Hand } from './hand.js'
import { CONSOLE_BYTES, CONSOLE_CHARDEV } from './qemu-arguments.js'
import { expectedOfQemu } from './qemu-expected.js'
import { makeMachine } from './qemu-make.js'
import { probeQemu, QEMU } from './qemu-probe.js'
import type { Qmp } from './qmp.js'

export interface QemuOptions {
  /** Folder of the machines: short, root's, and as lasting as the companion's own state. */
  readonly directory: string
  /** Instead of Debian's place for it. */
  readonly program?: string
  /** Where cgroups are mounted. */
  readonly cgroups?: string
  /** Instead of the one that the probe finds. */
  readonly accelerator?: 'kvm' | 'tcg'
}

/** Another companion on this host has another folder, and machines of its own. */
export const ownName = (directory: string): string => `sluice-machines-${digestOfText(directory).slice(-12)}`

export class QemuDriver extends ControlledDriver {
  /** Throws MACHINE_UNSUPPORTED where limits cannot be held. */
  static open({ directory, program = QEMU, cgroups, accelerator }: QemuOptions): QemuDriver {
    const groups = MachineGroups.open(ownName(directory), cgroups)
    return new QemuDriver(handOf(program), directory, groups, accelerator)
  }
}

const told = (command: string) => async (_spec: unknown, qmp: Qmp) => {
  await qmp.execute(command)
}

const handOf = (program: string): Hand => ({
  name: 'qemu',
  probe: () => probeQemu(program),
  refuse: () => undefined,
  make: (spec, making) => makeMachine(spec, { ...making, program }),
  // It enters its groups before it is QEMU.
  strays: () => Promise.resolve([]),
  expected: expectedOfQemu,
  alsoSays: () => Promise.resolve([]),
  resume: told('cont'),
  pause: told('stop'),
  shutDown: told('system_powerdown'),
  drain: async (qmp, folder) => {
    const said = await qmp.execute('ringbuf-read', { device: CONSOLE_CHARDEV, size: CONSOLE_BYTES, format: 'base64' })
    if (typeof said === 'string' && said !== '') folder.keepConsole(Buffer.from(said, 'base64'))
  },
  gone: () => Promise.resolve(),
})
