// What a machine may be, checked before anything is made of it, and the digest by which two specifications are the same. Everything
// that becomes a word of a command line or a name in a file system is judged here and nowhere else.
//
// Refuses with MACHINE_SPEC: names and addresses of other shapes, nothing to boot, user 0, limits below what the machine has.

import { canonicalize, type Json } from '../../base/canonical.js'
import { type Digest, digestOfText, isDigest } from '../../base/digest.js'
import { isGroupMac, parseMac } from '../../base/mac.js'
import { quote } from '../../base/quote.js'
import { companionFault } from '../errors.js'
import type { MachineSpec, SharedVolume, VerifiedFile } from './driver.js'

const ID = /^[a-z0-9][a-z0-9-]{0,39}$/
/** As the kernel takes names of interfaces, without those that need quoting anywhere. */
const INTERFACE = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/
const PCI = /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/
const TAG = /^[A-Za-z0-9][A-Za-z0-9_-]{0,35}$/
/** Absolute, normal, printable, and without the comma that separates QEMU's options. */
const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._@+=:-]+)+$/
/** `nobody` and what lies above the ids that one may have. */
const USER = { from: 1_000, to: 2 ** 31 - 1, nobody: 65_534 }
const MOST = { cpus: 256, memoryMiB: 4 << 20, volumes: 16, pids: 32_768, words: 2_048 }
/** What QEMU needs beside the machine's own memory. */
export const OVERHEAD_MIB = 128
/** Threads of one QEMU and its helpers that are not virtual CPUs. */
export const OVERHEAD_PIDS = 32

/** Throws MACHINE_SPEC; gives the same value. */
export function checkSpec(spec: MachineSpec): MachineSpec {
  const no = (why: string) => companionFault('MACHINE_SPEC', { why })
  const number = (value: number, what: string, from: number, to: number): void => {
    if (!Number.isSafeInteger(value) || value < from || value > to) throw no(`${what} is not ${from} to ${to}`)
  }
  const file = ({ path, digest, bytes }: VerifiedFile): void => {
    if (!PATH.test(path)) throw no(`${quote(path)} is not an absolute path of plain characters`)
    if (!isDigest(digest)) throw no(`${path} has no digest`)
    number(bytes, `the size of ${path}`, 1, 2 ** 43)
  }
  if (!ID.test(spec.id)) throw no(`${quote(spec.id)} is not an id of a machine`)
  if (!/^spiffe:\/\/[\x21-\x7e]{1,2039}$/.test(spec.workspace)) throw no(`${quote(spec.workspace)} is no workspace`)
  number(spec.user, 'the user', USER.from, USER.to)
  if (spec.user === USER.nobody) throw no('the user is one that others share')
  number(spec.cpus, 'the number of CPUs', 1, MOST.cpus)
  number(spec.memoryMiB, 'the memory', 32, MOST.memoryMiB)
  number(spec.limits.cpuPercent, 'the limit of CPU time', 1, MOST.cpus * 100)
  number(spec.limits.memoryMiB, 'the limit of memory', spec.memoryMiB + OVERHEAD_MIB, 2 * MOST.memoryMiB)
  number(spec.limits.pids, 'the limit of threads', spec.cpus + OVERHEAD_PIDS, MOST.pids)
  const { kernel, disk } = spec.boot
  if (!kernel && !disk) throw no('it has neither a kernel nor a disk')
  if (kernel) {
    file(kernel.file)
    if (kernel.initrd) file(kernel.initrd)
    if (!/^[\x20-\x7e]*$/.test(kernel.commandLine) || kernel.commandLine.length > MOST.words)
      throw no('the command line of the kernel is not printable, or too long')
  }
  if (disk) {
    file(disk.base)
    if (!PATH.test(disk.overlay)) throw no(`${quote(disk.overlay)} is not an absolute path of plain characters`)
  }
  const { nic } = spec
  if (parseMac(nic.mac) !== nic.mac || isGroupMac(nic.mac))
    throw no(`${quote(nic.mac)} is not a MAC address of one interface`)
  if (nic.kind === 'tap' && !INTERFACE.test(nic.interface)) throw no(`${quote(nic.interface)} is no interface`)
  if (nic.kind === 'vfio' && !PCI.test(nic.pci)) throw no(`${quote(nic.pci)} is no PCI address`)
  checkVolumes(spec.volumes)
  return spec
}

function checkVolumes(volumes: readonly SharedVolume[]): void {
  const no = (why: string) => companionFault('MACHINE_SPEC', { why })
  if (volumes.length > MOST.volumes) throw no(`it has more than ${MOST.volumes} volumes`)
  if (new Set(volumes.map(({ tag }) => tag)).size !== volumes.length) throw no('two volumes have one tag')
  for (const { tag, kind, source } of volumes) {
    // With 9p QEMU itself opens the files of a volume, so whoever takes QEMU over has them past the mount's own user.
    if ((kind as string) !== 'virtiofs') throw no(`a volume of kind ${quote(kind)}: virtiofs is what machines get`)
    if (!TAG.test(tag)) throw no(`${quote(tag)} is no tag of a volume`)
    if (!PATH.test(source)) throw no(`${quote(source)} is not an absolute path of plain characters`)
  }
}

export const specDigest = (spec: MachineSpec): Digest => digestOfText(canonicalize(spec as unknown as Json))
