// Can libvirt run machines here as `qemu` runs them? Asked of the daemon, of QEMU and of the kernel; each thing that is missing is named.
// What libvirt does on other hosts (machines registered with systemd, which moves them to groups of its own) is not claimed.

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import type { DriverProbe } from './driver.js'
import { SECLUDED_UNPRIVILEGED } from './libvirt-emulator.js'
import { probeQemu } from './qemu-probe.js'
import { VIRSH, type Virsh, VirshProblem } from './virsh.js'

const run = promisify(execFile)
const RUN_MS = 30_000
const ASK_MS = 15_000
/** The first that takes disks by descriptor. */
const LEAST = 9
/** Whom libvirt asks to register machines, where it is installed. */
const MACHINED = '/usr/share/dbus-1/system-services/org.freedesktop.machine1.service'
/** A user without a name, for one look at what the kernel lets such a one do. */
const ANYBODY = 63_999

export async function probeLibvirt(virsh: Virsh, uri: string, program: string): Promise<DriverProbe> {
  const none = (why: string): DriverProbe => ({ usable: false, why, shares: [], vfio: false })
  const qemu = await probeQemu(program)
  if (!qemu.usable) return none(qemu.why)
  if (!existsSync(VIRSH)) return none(`${VIRSH} is not there; Debian has it in libvirt-clients`)
  if (existsSync(MACHINED))
    return none('systemd-machined is installed, and libvirt would put machines into groups of systemd')
  let said: string
  try {
    said = await virsh([['version', '--daemon']], { withinMs: ASK_MS })
  } catch (error) {
    if (!(error instanceof VirshProblem)) throw error
    return none(`no libvirt answers at ${uri}: ${error.message}`)
  }
  const version = /daemon: (\d+\.\d+\.\d+)/.exec(said)?.[1]
  if (version === undefined) return none('libvirt does not say its version')
  if (Number.parseInt(version, 10) < LEAST)
    return none(`libvirt ${version} takes no disks by descriptor; ${LEAST}.0 and later do`)
  const why = await unsecluded()
  if (why !== undefined) return none(`a user may make no namespaces here: ${why}`)
  const shares = qemu.shares.filter((kind) => kind === 'virtiofs')
  return { ...qemu, version, why: `${qemu.why}, by libvirt ${version}`, shares, vfio: false }
}

async function unsecluded(): Promise<string | undefined> {
  const user = ['--reuid', String(ANYBODY), '--regid', String(ANYBODY), '--clear-groups', '--bounding-set=-all', '--']
  try {
    await run('setpriv', [...user, ...SECLUDED_UNPRIVILEGED, 'true'], { timeout: RUN_MS })
    return undefined
  } catch (error) {
    return (error as { stderr?: string }).stderr?.trim().split('\n')[0]?.slice(0, 200) ?? 'no reason given'
  }
}
