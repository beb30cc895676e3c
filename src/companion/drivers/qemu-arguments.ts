// The command line of one QEMU: everything is said, nothing is left to a default or to a file of the host. What it opens itself are
// descriptors that it was given; every device has a name, by which it is recognised when the devices are read back
// (qemu-readback.ts). Sources: qemu-system-x86_64(1), docs/interop/qmp-ref of QEMU 7.2.

import { digestOfText } from '../../base/digest.js'
import type { MachineSpec } from './driver.js'
import { specDigest } from './spec.js'

/** Where QEMU finds what it was given. Descriptors are those of its own process. */
export interface Handed {
  readonly tap?: number
  readonly kernel?: number
  readonly initrd?: number
  readonly base?: number
  readonly layer?: number
}

export interface Surroundings {
  readonly accelerator: 'kvm' | 'tcg'
  /** Path at which QEMU makes its control socket. */
  readonly control: string
  /** Path of the socket of each virtiofs volume, by tag. */
  readonly shares: ReadonlyMap<string, string>
}

/** What the console keeps while nobody reads it; a power of two. */
export const CONSOLE_BYTES = 1 << 18

export const CONTROL_CHARDEV = 'control'
export const CONSOLE_CHARDEV = 'console'

/** The machine's own number, by which a control socket is known to be its. */
export function uuidOf(spec: MachineSpec): string {
  const hex = digestOfText(`sluice-machine/1 ${specDigest(spec)}`).slice('sha256:'.length)
  // RFC 9562 section 5.8: version 8, our own.
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`
}

export function qemuArguments(spec: MachineSpec, given: Handed, around: Surroundings): readonly string[] {
  const shared = spec.volumes.length > 0
  return [
    ...['-name', `guest=${spec.id},debug-threads=on`, '-uuid', uuidOf(spec)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-S'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...[
      '-machine',
      `q35,usb=off,vmport=off,smbus=off,sata=off,dump-guest-core=off${shared ? ',memory-backend=memory' : ''}`,
    ],
    ...['-accel', around.accelerator === 'tcg' ? 'tcg,thread=multi' : 'kvm'],
    ...['-cpu', around.accelerator === 'tcg' ? 'max' : 'host'],
    ...['-smp', `cpus=${spec.cpus},maxcpus=${spec.cpus}`, '-m', `size=${spec.memoryMiB}M`],
    // virtio-fs is another process, which reads and writes the machine's memory.
    ...(shared ? ['-object', `memory-backend-memfd,id=memory,size=${spec.memoryMiB}M,share=on`] : []),
    ...['-rtc', 'base=utc', '-boot', 'strict=on'],
    // What it left can be looked at: the last words of its console, and that it ended by itself.
    ...['-action', 'shutdown=pause,panic=pause,reboot=reset'],
    ...['-chardev', `socket,id=${CONTROL_CHARDEV},path=${around.control},server=on,wait=off`],
    ...['-mon', `chardev=${CONTROL_CHARDEV},mode=control`],
    ...['-chardev', `ringbuf,id=${CONSOLE_CHARDEV},size=${CONSOLE_BYTES}`, '-serial', `chardev:${CONSOLE_CHARDEV}`],
    ...['-object', 'rng-random,id=entropy,filename=/dev/urandom', '-device', 'virtio-rng-pci,id=random,rng=entropy'],
    ...['-device', 'pvpanic-pci,id=panic'],
    ...nic(spec, given),
    ...kernel(spec, given),
    ...disk(spec, given),
    ...spec.volumes.flatMap((volume, i) => share(volume, i, around)),
  ]
}

function nic({ nic: { mac, ...rest } }: MachineSpec, { tap }: Handed): readonly string[] {
  if (rest.kind === 'vfio') return ['-device', `vfio-pci,id=nic,host=${rest.pci}`]
  return [
    ...['-netdev', `tap,id=net,fd=${tap}`],
    // Without a ROM it cannot boot from the network.
    ...['-device', `virtio-net-pci,id=nic,netdev=net,mac=${mac},romfile=`],
  ]
}

function kernel({ boot }: MachineSpec, given: Handed): readonly string[] {
  if (!boot.kernel) return []
  // A name of the very file that was hashed, whatever lies at its path now.
  const own = (descriptor: number | undefined): string => `/proc/self/fd/${descriptor}`
  return [
    ...['-kernel', own(given.kernel), '-append', boot.kernel.commandLine],
    ...(boot.kernel.initrd ? ['-initrd', own(given.initrd)] : []),
  ]
}

function disk({ boot }: MachineSpec, { base, layer }: Handed): readonly string[] {
  if (!boot.disk) return []
  const node = (value: object): readonly string[] => ['-blockdev', JSON.stringify(value)]
  const below = { 'node-name': 'base', driver: boot.disk.format, file: 'base-file', 'read-only': true }
  return [
    ...['-add-fd', `fd=${base},set=1`, '-add-fd', `fd=${layer},set=2`],
    ...node({ 'node-name': 'base-file', driver: 'file', filename: '/dev/fdset/1', 'read-only': true }),
    // What a header says lies below is never looked at.
    ...node(boot.disk.format === 'qcow2' ? { ...below, backing: null } : below),
    ...node({ 'node-name': 'layer-file', driver: 'file', filename: '/dev/fdset/2', discard: 'unmap' }),
    ...node({ 'node-name': 'layer', driver: 'qcow2', file: 'layer-file', backing: 'base', discard: 'unmap' }),
    ...['-device', `virtio-blk-pci,id=disk,drive=layer${boot.kernel ? '' : ',bootindex=0'}`],
  ]
}

function share({ tag }: MachineSpec['volumes'][number], i: number, { shares }: Surroundings): readonly string[] {
  return [
    ...['-chardev', `socket,id=volume${i},path=${shares.get(tag) ?? ''}`],
    ...['-device', `vhost-user-fs-pci,id=share${i},chardev=volume${i},tag=${tag}`],
  ]
}
