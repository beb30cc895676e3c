// Driver `qemu`: the suite of every driver, and what only QEMU has: ways out that are added behind the driver's back are found by what
// QEMU says, before a CPU runs.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Json } from '../../src/base/canonical.js'
import type { MachineSpec } from '../../src/companion/drivers/driver.js'
import { QemuDriver } from '../../src/companion/drivers/qemu.js'
import { QEMU } from '../../src/companion/drivers/qemu-probe.js'
import { Qmp } from '../../src/companion/drivers/qmp.js'
import { ensureTap, removeTap } from '../../src/companion/drivers/tap.js'
import { driverSuite, TAP_OF } from '../support/companion/driver-suite.js'
import { BootFolder, machine, PATIENCE_MS } from '../support/companion/machine.js'

const open = (directory: string, program = QEMU) => QemuDriver.open({ directory: join(directory, 'run'), program })

driverSuite({ name: 'qemu', open: (directory) => Promise.resolve(open(directory)) })

describe('a way out that nobody manages', () => {
  let boot: BootFolder
  let spec: MachineSpec
  let driver: QemuDriver
  beforeAll(async () => {
    boot = new BootFolder()
    spec = machine(boot.boot({ command: 'true' }), TAP_OF.interface)
    driver = open(boot.directory)
    await ensureTap(TAP_OF)
  })
  afterEach(async () => {
    await driver.kill(spec.id)
    await driver.remove(spec.id)
  })
  afterAll(async () => {
    await removeTap(TAP_OF.interface)
    boot.close()
  })

  // As a wrapper of QEMU on the host would do it, or a build with other defaults.
  const OF_QEMU: readonly (readonly [what: string, words: string, found: RegExp])[] = [
    [
      'a second NIC',
      '-device virtio-net-pci,id=nic2',
      /a device "nic2" of type "virtio-net-pci"; the PCI device "nic2" in slot 4 is of class 0x0200/,
    ],
    [
      'a second NIC on a user-mode network',
      '-nic user,model=e1000',
      /the PCI device "" in slot 1 is of class 0x0200; networks: "e1000.0: .*type=user/,
    ],
    ['a bridge with a NIC behind it', '-device pcie-root-port,id=more -device virtio-net-pci,bus=more', /is a bridge/],
    ['a modem beside the machine', '-device pci-serial,id=modem', /a device "modem" of type "pci-serial"/],
  ]
  for (const [what, words, found] of OF_QEMU)
    it(`leaves no machine: ${what}`, { timeout: PATIENCE_MS }, async () => {
      const program = join(boot.directory, 'qemu-wrapped')
      writeFileSync(program, `#!/bin/sh\nexec ${QEMU} "$@" ${words}\n`, { mode: 0o755 })
      const wrapped = open(boot.directory, program)
      await expect(wrapped.prepare(spec)).rejects.toThrow(found)
      expect(await driver.list()).toEqual([])
    })

  // As whoever reaches the control socket could do it afterwards.
  type Command = readonly [name: string, given: Readonly<Record<string, Json>>]
  const LATER: readonly (readonly [what: string, command: Command, found: RegExp])[] = [
    ['a user-mode network', ['netdev_add', { type: 'user', id: 'slirp' }], /networks: .*slirp: index=0,type=user/],
    [
      'packets copied elsewhere',
      ['object-add', { 'qom-type': 'filter-dump', id: 'copy', netdev: 'net', file: '/dev/null' }],
      /"copy"/,
    ],
    [
      'a line to somewhere',
      ['chardev-add', { id: 'out', backend: { type: 'null', data: {} } }],
      /a character device "out" at "null"/,
    ],
    ['a disk that nobody signed', ['blockdev-add', { driver: 'null-co', 'node-name': 'x' }], /a disk "x": "null-co"/],
  ]
  for (const [what, [name, given], found] of LATER)
    it(`lets no CPU run: ${what}`, { timeout: PATIENCE_MS }, async () => {
      await driver.prepare(spec)
      const qmp = await Qmp.open(join(boot.directory, 'run/m1/own/qmp'), PATIENCE_MS)
      await qmp.execute(name, given)
      // A device cannot be added at all: the machine has no bus for it.
      await expect(qmp.execute('device_add', { driver: 'e1000', id: 'nic2' })).rejects.toThrow(/hotplug/)
      qmp.close()
      await expect(driver.run('m1')).rejects.toMatchObject({
        code: 'MACHINE_PATH',
        message: expect.stringMatching(found),
      })
      expect(await driver.list()).toMatchObject([{ state: 'prepared' }])
    })
})
