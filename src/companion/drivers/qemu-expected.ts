// What a machine has whose command line is ours (qemu-arguments.ts), by the names that are given there: the table that the devices are
// judged by when they are read back (qemu-readback.ts). What is not in it was put there by somebody else.

import type { MachineSpec } from './driver.js'
import { CONSOLE_CHARDEV, CONTROL_CHARDEV } from './qemu-arguments.js'
import { type Expected, type ExpectedLine, HOST_BRIDGE, ISA_BRIDGE } from './qemu-readback.js'

export function expectedOfQemu({ nic, boot, volumes }: MachineSpec): Expected {
  const devices = new Map([
    ['nic', nic.kind === 'tap' ? 'virtio-net-pci' : 'vfio-pci'],
    ['random', 'virtio-rng-pci'],
    ['panic', 'pvpanic-pci'],
  ])
  if (boot.disk) devices.set('disk', 'virtio-blk-pci')
  for (const i of volumes.keys()) devices.set(`share${i}`, 'vhost-user-fs-pci')
  const shares = [...volumes.keys()].map((i) => [`volume${i}`, { kind: 'share', at: /^unix:/ }] as const)
  return {
    ...{ devices, nic: 'nic', netdev: 'net', board: new Set([HOST_BRIDGE, ISA_BRIDGE]) },
    chardevs: new Map<string, ExpectedLine>([
      [CONTROL_CHARDEV, { kind: 'control', at: /^(disconnected:)?unix:/ }],
      [CONSOLE_CHARDEV, { kind: 'serial', at: /^ringbuf$/ }],
      ...shares,
    ]),
    objects: /^\S+ (memory-backend-(memfd|ram)|rng-random)$/,
    blocks: new Map(
      boot.disk
        ? [
            ['base-file', 'file'],
            ['base', boot.disk.format],
            ['layer-file', 'file'],
            ['layer', 'qcow2'],
          ]
        : [],
    ),
    places: /^\/dev\/fdset\/[12]$/,
  }
}
