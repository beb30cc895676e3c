// Driver `qemu`: the suite of every driver, and what only QEMU has: ways out that are added behind the driver's back are found by what
// QEMU says, before a CPU runs. And a QEMU that does not answer, or not to the point, lives no longer than another.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Json } from '../../src/base/canonical.js'
import type { MachineSpec } from '../../src/companion/drivers/driver.js'
import { QemuDriver } from '../../src/companion/drivers/qemu.js'
import { uuidOf } from '../../src/companion/drivers/qemu-arguments.js'
import { QEMU } from '../../src/companion/drivers/qemu-probe.js'
import { Qmp } from '../../src/companion/drivers/qmp.js'
import { ensureTap, removeTap } from '../../src/companion/drivers/tap.js'
import { driverSuite, TAP_OF } from '../support/companion/driver-suite.js'
import { BootFolder, machine, PATIENCE_MS, reached } from '../support/companion/machine.js'
import { seclude } from '../support/ebpf/seclusion.js'

const open = (directory: string, program = QEMU) => QemuDriver.open({ directory: join(directory, 'run'), program })

driverSuite({ ...{ name: 'qemu', nic: 'nic', netdev: 'net' }, open: (directory) => Promise.resolve(open(directory)) })

describe('a way out that nobody manages', () => {
  let boot: BootFolder
  let spec: MachineSpec
  let driver: QemuDriver
  beforeAll(async () => {
    seclude()
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
      await reached(driver, 'm1', 'prepared')
    })
})

describe('a machine that is ended while its QEMU does not do what QEMU does', () => {
  let boot: BootFolder
  let spec: MachineSpec
  let driver: QemuDriver
  let server: Server | undefined
  beforeAll(async () => {
    seclude()
    boot = new BootFolder()
    spec = machine(boot.boot({ command: 'true' }), TAP_OF.interface)
    driver = open(boot.directory)
    await ensureTap(TAP_OF)
  }, PATIENCE_MS)
  afterEach(async () => {
    await driver.kill(spec.id)
    await driver.remove(spec.id)
    server?.close()
  })
  afterAll(async () => {
    await removeTap(TAP_OF.interface)
    boot.close()
  })

  /** In QEMU's place on its socket: greets, and answers what is in the table alone. Gives what it was asked so far. */
  const impostor = async (answers: Readonly<Record<string, Json>>): Promise<readonly string[]> => {
    const asked: string[] = []
    const path = join(boot.directory, 'run/m1/own/qmp')
    rmSync(path)
    server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.write('{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 9}}, "capabilities": []}}\n')
      socket.on('data', (chunk) => {
        for (const line of chunk.toString().trim().split('\n')) {
          const { execute, id } = JSON.parse(line) as { execute: string; id: number }
          asked.push(execute)
          const known = { qmp_capabilities: {}, ...answers }[execute]
          if (known !== undefined) socket.write(`${JSON.stringify({ return: known, id })}\n`)
        }
      })
    })
    await new Promise<void>((resolve) => server?.listen(path, resolve))
    return asked
  }
  /** Far below what one unanswered question takes. */
  const SOON_MS = 10_000
  const soon = async <T>(done: Promise<T>): Promise<T> => {
    const fromMs = performance.now()
    const gave = await done
    expect(performance.now() - fromMs).toBeLessThan(SOON_MS)
    return gave
  }

  it(
    'is silent at the next look and killed at once: it greets, and says nothing more',
    async () => {
      const { pid } = await driver.prepare(spec)
      await impostor({})
      expect(await soon(driver.list())).toMatchObject([{ id: 'm1', workspace: spec.workspace, state: 'silent' }])
      await soon(driver.kill('m1'))
      expect(existsSync(`/proc/${pid}/exe`)).toBe(false)
    },
    PATIENCE_MS,
  )

  it(
    'is killed where the disk refuses its last words',
    async () => {
      const { pid } = await driver.prepare(spec)
      mkdirSync(join(boot.directory, 'run/m1/console.log'))
      const asked = await impostor({
        'query-uuid': { UUID: uuidOf(spec) },
        'query-status': { status: 'shutdown' },
        'ringbuf-read': 'aGVsbG8=',
      })
      expect(await driver.stop('m1', PATIENCE_MS)).toBe('stopped')
      expect(asked).toContain('ringbuf-read')
      expect(existsSync(`/proc/${pid}/exe`)).toBe(false)
    },
    PATIENCE_MS,
  )

  it(
    'is killed in the middle of a stop that its guest ignores',
    async () => {
      const { pid } = await driver.prepare(spec)
      const answers = {
        'query-uuid': { UUID: uuidOf(spec) },
        'query-status': { status: 'running' },
        system_powerdown: {},
      }
      const asked = await impostor(answers)
      const stopped = driver.stop('m1', PATIENCE_MS)
      await expect.poll(() => asked, { timeout: PATIENCE_MS }).toContain('system_powerdown')
      await soon(driver.kill('m1'))
      expect(existsSync(`/proc/${pid}/exe`)).toBe(false)
      expect(await soon(stopped)).toBe('killed')
    },
    PATIENCE_MS,
  )
})
