// Driver `libvirt`: machines that libvirt starts and keeps, with the guarantees of `qemu`. What libvirt is for here is to be the one place
// where a host's operators see their machines; what must hold is taken by ourselves and read back: limits by a partition of cgroups that
// is there before, seclusion by the program that libvirt starts (libvirt-emulator.ts), devices by QEMU's own word, and a kill that asks
// nobody. libvirt is told afterwards, and may be mute.
//
// Refused by name: VFs, which nobody has run so, and a console that is not bounded by virtlogd.

import { closeSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../base/fault.js'
import { companionFault } from '../errors.js'
import { MachineGroups } from './cgroup.js'
import { ControlledDriver } from './controlled.js'
import type { MachineSpec } from './driver.js'
import type { Hand, Making } from './hand.js'
import { BASE_GROUP, type DomainPlace, domainXml, expectedOfLibvirt, LAYER_GROUP } from './libvirt-domain.js'
import { domainName, ensureEmulator } from './libvirt-emulator.js'
import { judgeLive, readXml } from './libvirt-live.js'
import { probeLibvirt } from './libvirt-probe.js'
import { CONSOLE, MachineFolder } from './machine-folder.js'
import { guestsNamed, isAlive, isQemu, writtenBy } from './proc.js'
import { ownName } from './qemu.js'
import type { Started } from './qemu-launch.js'
import { startShares } from './qemu-make.js'
import { QEMU } from './qemu-probe.js'
import { openTap } from './tap.js'
import { copyVerified, openLayer, openVerified, requireQcow2 } from './verified.js'
import { type Virsh, VirshProblem, virshAt } from './virsh.js'

export interface LibvirtOptions {
  /** Folder of the machines, as of `qemu`. */
  readonly directory: string
  /** Where libvirt answers: a system daemon of this host. */
  readonly uri?: string
  readonly program?: string
  readonly cgroups?: string
  readonly accelerator?: 'kvm' | 'tcg'
}

export const LIBVIRT_URI = 'qemu:///system'
/** What a daemon has to say goodbye to a machine that is gone. */
const GOODBYE_MS = 3_000
/** What it has to start a machine with much memory. */
const START_MS = 60_000
const POLL_MS = 50
/** A name that an earlier machine left is waited for. */
const STALE_MS = 30_000
/** First descriptor of virsh that is ours. */
const FIRST_DESCRIPTOR = 3

interface Host {
  readonly virsh: Virsh
  readonly uri: string
  readonly own: string
  readonly directory: string
  readonly program: string
  readonly groups: MachineGroups
}

export class LibvirtDriver extends ControlledDriver {
  /** Throws MACHINE_UNSUPPORTED where limits cannot be held. No daemon is asked yet. */
  static open(options: LibvirtOptions): LibvirtDriver {
    const { directory, uri = LIBVIRT_URI, program = QEMU, cgroups, accelerator } = options
    const own = ownName(directory)
    const groups = MachineGroups.open(own, cgroups, true)
    const host = { virsh: virshAt(uri), uri, own, directory, program, groups }
    return new LibvirtDriver(handOf(host), directory, groups, accelerator)
  }
}

function handOf(host: Host): Hand {
  const { virsh, uri, own, program } = host
  const told = (command: string) => async (spec: MachineSpec) => {
    await answered(spec, () => virsh([[command, domainName(own, spec.id)]]))
  }
  return {
    name: 'libvirt',
    probe: () => probeLibvirt(virsh, uri, program),
    refuse: ({ nic }) => {
      if (nic.kind !== 'tap')
        throw companionFault('MACHINE_UNSUPPORTED', {
          what: 'a machine with a VF',
          why: 'the driver libvirt gives none',
        })
    },
    make: (spec, making) => makeDomain(spec, making, host),
    strays: (id) => guestsNamed(domainName(own, id)),
    expected: expectedOfLibvirt,
    alsoSays: (spec, pid) => answered(spec, () => alsoSays(spec, pid, host)),
    resume: told('resume'),
    pause: told('suspend'),
    // A stop waits for no daemon; libvirt hears of it from QEMU, and ends the process of a machine that has shut down.
    shutDown: async (_spec, qmp) => {
      await qmp.execute('system_powerdown')
    },
    // virtlogd carries it there.
    drain: () => Promise.resolve(),
    gone: async (id) => {
      const name = domainName(own, id)
      const over = AbortSignal.timeout(GOODBYE_MS)
      // A daemon that does not answer, or knows nothing of it, leaves nothing of the machine: its name is taken away when it is used again.
      for (const command of [
        ['destroy', name],
        ['undefine', name],
      ])
        await virsh([command], { over }).catch(() => undefined)
    },
  }
}

/** Throws MACHINE_SILENT for a daemon that does not answer, or not to the point. */
async function answered<T>({ id }: MachineSpec, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    if (cause instanceof Fault) throw cause
    if (cause instanceof VirshProblem) throw companionFault('MACHINE_SILENT', { id, why: cause.message }, { cause })
    throw cause
  }
}

async function makeDomain(spec: MachineSpec, making: Making, host: Host): Promise<Started> {
  const { folder, groups, stop, over } = making
  const { virsh, own } = host
  const name = domainName(own, spec.id)
  const opened: number[] = []
  const hand = (descriptor: number): string => String(FIRST_DESCRIPTOR - 1 + opened.push(descriptor))
  try {
    const { disk } = spec.boot
    const associate: string[][] = []
    const give = (group: string, descriptor: number): void => {
      associate.push(['dom-fd-associate', name, group, '--pass-fds', hand(descriptor)])
    }
    if (disk) {
      const base = await openVerified(disk.base)
      give(BASE_GROUP, base)
      if (disk.format === 'qcow2') requireQcow2(disk.base.path, base)
      give(LAYER_GROUP, openLayer(disk.overlay))
    }
    // libvirt opens it by its name; who holds it is read back, and that it is ours is known before.
    if (spec.nic.kind === 'tap') closeSync(await openTap(spec.nic.interface))
    stop()
    const place = await placeOf(spec, making, host)
    stop()
    await forgetStale(virsh, name, over)
    stop()
    // virsh opens it by its name: what stands there is for people too.
    const xml = folder.file('domain.xml')
    writeFileSync(xml, domainXml(spec, place), { mode: 0o600 })
    const start = [['define', xml], ...associate, ['start', name, '--paused']]
    await virsh(start, { descriptors: opened, withinMs: START_MS, over })
    // It is there for as long as its process is, and no longer: nothing to be started again.
    await virsh([['undefine', name]], { over })
    const qemu = groups.processes(spec.id).find((pid) => isQemu(pid))
    if (qemu !== undefined) groups.adopt(spec.id, qemu)
    const said = () => (qemu === undefined ? 'libvirt did not start it in its partition of cgroups' : '')
    return { said, ended: () => qemu === undefined || !isAlive(qemu) }
  } finally {
    for (const descriptor of opened) closeSync(descriptor)
  }
}

/** Everything that the domain names is there when this resolves. */
async function placeOf(spec: MachineSpec, making: Making, host: Host): Promise<DomainPlace> {
  const { folder, groups, accelerator, stop } = making
  const { kernel } = spec.boot
  folder.make(spec)
  if (kernel) await copyVerified(kernel.file, folder.file('kernel'), stop)
  if (kernel?.initrd) await copyVerified(kernel.initrd, folder.file('initrd'), stop)
  ensureEmulator(host.own, host.directory, host.program)
  const inside = groups.make(spec.id, spec.limits)
  await startShares(spec, folder, inside)
  return domainPlace(spec, folder, accelerator, host)
}

function domainPlace(
  spec: MachineSpec,
  folder: MachineFolder,
  accelerator: 'kvm' | 'tcg',
  { own, directory, program, groups }: Host,
): DomainPlace {
  const { kernel } = spec.boot
  return {
    ...{ name: domainName(own, spec.id), accelerator, emulator: ensureEmulator(own, directory, program) },
    ...(kernel ? { kernel: folder.file('kernel') } : {}),
    ...(kernel?.initrd ? { initrd: folder.file('initrd') } : {}),
    partition: groups.partition(spec.id),
    consoleLog: folder.file(CONSOLE),
    shares: new Map(spec.volumes.map(({ tag }, i) => [tag, folder.share(i)])),
    group: accelerator === 'kvm' ? groupOfKvm(spec.user) : spec.user,
  }
}

/** Where others may open it, no group is needed. */
function groupOfKvm(user: number): number {
  const { mode, gid } = statSync('/dev/kvm')
  return (mode & 0o006) === 0o006 ? user : gid
}

/** A domain of that name without a process: what an earlier end could not tell libvirt. Throws VirshProblem. */
async function forgetStale(virsh: Virsh, name: string, over: AbortSignal): Promise<void> {
  const isThere = async (): Promise<boolean> =>
    (await virsh([['list', '--all', '--name']], { over })).split('\n').includes(name)
  for (const endMs = Date.now() + STALE_MS; await isThere(); await sleep(POLL_MS)) {
    if (Date.now() >= endMs) throw new VirshProblem(`libvirt keeps an earlier ${name}`)
    for (const command of [
      ['destroy', name],
      ['undefine', name],
    ])
      await virsh([command], { over }).catch((error: unknown) => {
        // One of the two has nothing to do; whether it is gone is looked at.
        if (!(error instanceof VirshProblem) || over.aborted) throw error
      })
  }
}

async function alsoSays(spec: MachineSpec, pid: number, host: Host): Promise<readonly string[]> {
  const { virsh, own, directory } = host
  const folder = new MachineFolder(directory, spec.id)
  const live = readXml(await virsh([['dumpxml', domainName(own, spec.id)]]))
  const place = domainPlace(spec, folder, 'tcg', host)
  const findings = [...judgeLive(live, spec, place)]
  if (writtenBy(pid).includes(folder.file(CONSOLE)))
    findings.push('its console is written without a bound: `stdio_handler` of libvirt is not virtlogd')
  return findings
}
