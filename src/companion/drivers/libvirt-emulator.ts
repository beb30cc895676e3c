// The program that libvirt starts in QEMU's place: a few lines of shell, root's, that give a machine what libvirt has no words for, and
// become QEMU. It runs as the machine's user and without a right already, so what it takes it takes from itself: a user namespace of its
// own, and in that a network namespace without a link, in which QEMU has no capability and no way to one. The tap comes as a descriptor,
// and does not care. A second control socket lets us read the devices back without a word to libvirt.

import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CONTROL_CHARDEV } from './qemu-arguments.js'

/** Into it goes QEMU, with nothing. The order of setpriv is its own: it drops what it needs last. */
export const SECLUDED_UNPRIVILEGED = [
  ...['unshare', '--user', '--map-current-user', '--keep-caps', '--net', '--ipc', '--uts', '--'],
  ...['setpriv', '--no-new-privs', '--ambient-caps=-all', '--inh-caps=-all', '--bounding-set=-all', '--'],
] as const

/** Names of domains of this folder's machines. */
export const domainName = (own: string, id: string): string => `${own}-${id}`

export const emulatorScript = (own: string, directory: string, program: string): string => `#!/bin/sh
# QEMU of a machine of Sluice, as libvirt starts it: secluded, and with a control socket of its own.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
id=
for word; do
  case $word in guest=${own}-*)
    id=\${word#guest=${own}-}
    id=\${id%%,*}
    ;;
  esac
done
# libvirt asks what QEMU can do; that is no machine.
[ -n "$id" ] || exec ${program} "$@"
[ "$(cat /proc/self/oom_score_adj)" -ge 0 ] || echo 0 >/proc/self/oom_score_adj || exit 71
exec ${SECLUDED_UNPRIVILEGED.join(' ')} \\
  ${program} "$@" \\
  -chardev "socket,id=${CONTROL_CHARDEV},path=${directory}/$id/own/qmp,server=on,wait=off" \\
  -mon chardev=${CONTROL_CHARDEV},mode=control
`

/** Where it is, written when it is not there as it should be; libvirt asks it again what it can do only then. */
export function ensureEmulator(own: string, directory: string, program: string): string {
  const path = join(directory, '.emulator')
  const script = emulatorScript(own, directory, program)
  if (existsSync(path) && readFileSync(path, 'utf8') === script) return path
  mkdirSync(directory, { recursive: true, mode: 0o711 })
  writeFileSync(`${path}.new`, script)
  // Whatever the companion's umask is: the machine's user reads it, and runs it.
  chmodSync(`${path}.new`, 0o755)
  renameSync(`${path}.new`, path)
  return path
}
