// From a specification to processes: opens and verifies what the machine boots from, takes its link, makes its folder and its cgroup, and
// starts QEMU with nothing but descriptors. Whatever it opened is closed here again; who holds it afterwards is QEMU alone.
//
// Throws what it could not have, and leaves the undoing to the driver, which kills and forgets by the same words as ever.

import { chownSync, closeSync, existsSync, lchownSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { companionFault } from '../errors.js'
import type { MachineSpec } from './driver.js'
import type { Making } from './hand.js'
import type { MachineFolder } from './machine-folder.js'
import { type Handed, qemuArguments } from './qemu-arguments.js'
import { type Started, startQemu, startVirtiofsd } from './qemu-launch.js'
import { virtiofsd } from './qemu-probe.js'
import { openTap } from './tap.js'
import { openLayer, openVerified, requireQcow2 } from './verified.js'
import { vfioGroupOf } from './vfio.js'

const SHARE_MS = 30_000
/** What follows standard error. */
const FIRST_DESCRIPTOR = 3

export async function makeMachine(
  spec: MachineSpec,
  { program, folder, groups, accelerator, stop }: Making & { readonly program: string },
): Promise<Started> {
  const opened: number[] = []
  const hand = (descriptor: number): number => FIRST_DESCRIPTOR - 1 + opened.push(descriptor)
  try {
    const given: { -readonly [name in keyof Handed]: Handed[name] } = {}
    const { kernel, disk } = spec.boot
    if (kernel) given.kernel = hand(await openVerified(kernel.file))
    if (kernel?.initrd) given.initrd = hand(await openVerified(kernel.initrd))
    if (disk) {
      const base = await openVerified(disk.base)
      given.base = hand(base)
      if (disk.format === 'qcow2') requireQcow2(disk.base.path, base)
      given.layer = hand(openLayer(disk.overlay))
    }
    stop()
    if (spec.nic.kind === 'tap') given.tap = hand(await openTap(spec.nic.interface))
    else chownSync(vfioGroupOf(spec.nic.pci), spec.user, spec.user)
    folder.make(spec)
    const inside = groups.make(spec.id, spec.limits)
    const shares = await startShares(spec, folder, inside)
    stop()
    const words = qemuArguments(spec, given, { accelerator, control: folder.control, shares })
    const group = accelerator === 'kvm' ? { group: statSync('/dev/kvm').gid } : {}
    return startQemu(program, words, inside, { user: spec.user, ...group }, opened)
  } finally {
    for (const descriptor of opened) closeSync(descriptor)
  }
}

/** The sockets, by tag, each listened on and open to the machine's user only. */
export async function startShares(spec: MachineSpec, folder: MachineFolder, groups: readonly string[]) {
  const shares = new Map<string, string>()
  for (const [i, volume] of spec.volumes.entries()) {
    const program = virtiofsd()
    if (program === undefined) throw companionFault('MACHINE_UNSUPPORTED', { what: 'virtiofs', why: 'no virtiofsd' })
    const socket = folder.share(i)
    const started = startVirtiofsd(program, volume, socket, groups)
    for (const endMs = Date.now() + SHARE_MS; !existsSync(socket); await sleep(10))
      if (Date.now() >= endMs)
        throw companionFault('MACHINE_START', { id: spec.id, why: `no volume ${volume.tag}: ${started.said()}` })
    lchownSync(socket, spec.user, spec.user)
    shares.set(volume.tag, socket)
  }
  return shares
}
