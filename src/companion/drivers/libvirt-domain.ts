// A machine as libvirt is asked for it: the XML of one domain (libvirt.org, "Domain XML format"), which says everything that libvirt
// would otherwise choose, and the names that its pieces have in QEMU then, by which they are recognised when they are read back. Kernels
// and tickets to them are names of verified copies; disks come by descriptor and have only the name of their group. Pure.

import type { MachineSpec } from './driver.js'
import { CONTROL_CHARDEV, uuidOf } from './qemu-arguments.js'
import { type Expected, type ExpectedLine, HOST_BRIDGE, ISA_BRIDGE } from './qemu-readback.js'

export interface DomainPlace {
  readonly name: string
  readonly accelerator: 'kvm' | 'tcg'
  /** Program that libvirt starts: ours, which secludes QEMU (libvirt-emulator.ts). */
  readonly emulator: string
  /** Of the cgroup that has the limits. */
  readonly partition: string
  readonly kernel?: string
  readonly initrd?: string
  readonly consoleLog: string
  /** Path of the socket of each virtiofs volume, by tag. */
  readonly shares: ReadonlyMap<string, string>
  /** Group that may open /dev/kvm, where others may not. */
  readonly group: number
}

/** Groups of descriptors that disks are handed over by (virDomainFDAssociate). */
export const [BASE_GROUP, LAYER_GROUP] = ['base', 'layer'] as const

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
}
export const escapeXml = (text: string): string => text.replace(/[&<>'"]/g, (one) => ESCAPES[one] ?? '')

/** On the root bus, each where it is said: then libvirt adds no ports of its own. */
const at = (slot: number): string =>
  `<address type='pci' domain='0x0000' bus='0x00' slot='0x${slot.toString(16).padStart(2, '0')}' function='0x0'/>`
const SLOT = { nic: 2, random: 3, disk: 4, shares: 5 } as const

export function domainXml(spec: MachineSpec, place: DomainPlace): string {
  const { accelerator, group } = place
  const shared = spec.volumes.length > 0
  const lines = [
    `<domain type='${accelerator === 'kvm' ? 'kvm' : 'qemu'}'>`,
    `<name>${place.name}</name><uuid>${uuidOf(spec)}</uuid>`,
    `<memory unit='MiB'>${spec.memoryMiB}</memory><vcpu placement='static'>${spec.cpus}</vcpu>`,
    // virtio-fs is another process, which reads and writes the machine's memory.
    shared ? "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>" : '',
    `<resource><partition>${place.partition}</partition></resource>`,
    ...bootOf(spec, place),
    "<features><acpi/><vmport state='off'/></features>",
    accelerator === 'kvm' ? "<cpu mode='host-passthrough'/>" : "<cpu mode='maximum'/>",
    "<clock offset='utc'/>",
    // One that ended by itself is gone, and what it said is in its log. Of a panic it says there what it says: libvirt has a device for
    // that only without a name, and one without a name is not told from another.
    '<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>',
    '<devices>',
    `<emulator>${escapeXml(place.emulator)}</emulator>`,
    "<controller type='usb' index='0' model='none'/>",
    ...(spec.boot.disk ? diskOf(spec.boot.disk) : []),
    ...nicOf(spec),
    "<serial type='null'>",
    `<log file='${escapeXml(place.consoleLog)}' append='on'/><target type='isa-serial' port='0'/></serial>`,
    ...spec.volumes.map(
      ({ tag }, i) =>
        `<filesystem type='mount'><driver type='virtiofs'/><source socket='${escapeXml(place.shares.get(tag) ?? '')}'/>` +
        `<target dir='${escapeXml(tag)}'/>${at(SLOT.shares + i)}</filesystem>`,
    ),
    `<rng model='virtio'><backend model='random'>/dev/urandom</backend>${at(SLOT.random)}</rng>`,
    "<memballoon model='none'/>",
    '</devices>',
    // The files are root's, and stay so: nothing is given to the machine's user for as long as it runs.
    `<seclabel type='static' model='dac' relabel='no'><label>+${spec.user}:+${group}</label></seclabel>`,
    '</domain>',
  ]
  return `${lines.filter((line) => line !== '').join('\n')}\n`
}

function bootOf({ boot }: MachineSpec, { kernel, initrd }: DomainPlace): readonly string[] {
  const machine = "<type arch='x86_64' machine='q35'>hvm</type>"
  if (!boot.kernel) return [`<os>${machine}<boot dev='hd'/></os>`]
  return [
    `<os>${machine}<kernel>${escapeXml(kernel ?? '')}</kernel>`,
    initrd === undefined ? '' : `<initrd>${escapeXml(initrd)}</initrd>`,
    `<cmdline>${escapeXml(boot.kernel.commandLine)}</cmdline></os>`,
  ]
}

/** What a header says lies below is never looked at: what lies below is said here, to its end. */
const diskOf = ({ base, format, overlay }: NonNullable<MachineSpec['boot']['disk']>): readonly string[] => [
  "<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>",
  `<source file='${escapeXml(overlay)}' fdgroup='${LAYER_GROUP}'/>`,
  `<backingStore type='file'><format type='${format}'/><source file='${escapeXml(base.path)}' fdgroup='${BASE_GROUP}'/>`,
  `<backingStore/></backingStore><target dev='vda' bus='virtio'/>${at(SLOT.disk)}</disk>`,
]

function nicOf({ nic }: MachineSpec): readonly string[] {
  if (nic.kind !== 'tap') return []
  return [
    // `managed='no'`: it is there, fenced, and libvirt changes nothing about it.
    `<interface type='ethernet'><mac address='${nic.mac}'/><target dev='${nic.interface}' managed='no'/>`,
    // QEMU itself moves the packets; without a ROM it cannot boot from the network.
    `<model type='virtio'/><driver name='qemu'/><rom enabled='no'/>${at(SLOT.nic)}</interface>`,
  ]
}

/** SATA and SMBus are parts of the board that libvirt cannot leave out; nothing is on either. */
const [SATA, SMBUS] = [0x0106, 0x0c05]

export function expectedOfLibvirt({ boot, volumes }: MachineSpec): Expected {
  const devices = new Map([
    ['net0', 'virtio-net-pci'],
    ['rng0', 'virtio-rng-pci'],
    ['serial0', 'isa-serial'],
  ])
  if (boot.disk) devices.set('virtio-disk0', 'virtio-blk-pci')
  for (const i of volumes.keys()) devices.set(`fs${i}`, 'vhost-user-fs-pci')
  const shares = [...volumes.keys()].map((i) => [`chr-vu-fs${i}`, { kind: 'share', at: /^unix:/ }] as const)
  return {
    ...{ devices, nic: 'net0', netdev: 'hostnet0', board: new Set([HOST_BRIDGE, ISA_BRIDGE, SATA, SMBUS]) },
    chardevs: new Map<string, ExpectedLine>([
      [CONTROL_CHARDEV, { kind: 'control', at: /^(disconnected:)?unix:/ }],
      ['charmonitor', { kind: 'control', at: /^(disconnected:)?unix:/ }],
      ['charserial0', { kind: 'serial', at: /^null$/ }],
      ...shares,
    ]),
    objects: /^(\S+ (memory-backend-(memfd|ram)|rng-random)|masterKey0 secret)$/,
    blocks: new Map(
      boot.disk
        ? [
            ['libvirt-1-storage', 'file'],
            ['libvirt-1-format', 'qcow2'],
            ['libvirt-2-storage', 'file'],
            ['libvirt-2-format', boot.disk.format],
          ]
        : [],
    ),
    places: /^\/dev\/fdset\/\d+$/,
  }
}
