// What every driver of QEMU processes does when a machine is undone, over groups and a hand that stand in: a kill ends, and what nobody
// put into the machine's group is ended too.

import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { MachineGroups } from '../../../src/companion/drivers/cgroup.js'
import { ControlledDriver } from '../../../src/companion/drivers/controlled.js'
import type { MachineSpec } from '../../../src/companion/drivers/driver.js'
import type { Hand, Making } from '../../../src/companion/drivers/hand.js'
import { guestsNamed, isAlive } from '../../../src/companion/drivers/proc.js'

const file = { path: '/srv/images/kernel', digest: `sha256:${'a'.repeat(64)}`, bytes: 10 } as const
const SPEC: MachineSpec = {
  id: 'm1',
  workspace: 'spiffe://fleet.example/ws/one',
  boot: { image: 'tiny@1', kernel: { file, commandLine: '' } },
  cpus: 1,
  memoryMiB: 256,
  nic: { kind: 'tap', interface: 'tap0', mac: '02:00:00:00:00:02' },
  volumes: [],
  limits: { cpuPercent: 100, memoryMiB: 512, pids: 64 },
  user: 60_001,
}

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-controlled-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(directory, { recursive: true })
})

function driverOf(
  make: (spec: MachineSpec, making: Making) => Promise<never>,
  groups: Partial<MachineGroups>,
  strays: readonly number[] = [],
) {
  const hand = {
    ...{ name: 'qemu', refuse: () => undefined, gone: () => Promise.resolve(), make },
    strays: () => Promise.resolve(strays),
    probe: () => Promise.resolve({ usable: true, why: '', version: '7.2.0', accelerator: 'tcg', shares: [] }),
  } as unknown as Hand
  return new ControlledDriver(hand, directory, { processes: () => [], ...groups } as MachineGroups)
}

it('kills a machine whose making could not be undone, and says why it was undone', async () => {
  const make = (_spec: MachineSpec, { folder, stop }: Making) => {
    stop()
    folder.make({ ...SPEC, user: process.getuid?.() ?? 0 })
    return Promise.reject(new TypeError('QEMU said no'))
  }
  const remove = () => {
    throw new TypeError('the kernel keeps its group')
  }
  const driver = driverOf(make, { remove })
  await expect(driver.prepare(SPEC)).rejects.toMatchObject({
    message: 'the kernel keeps its group',
    cause: { message: 'QEMU said no' },
  })
  await driver.kill('m1')
})

it('kills in vain, and says so, what is being started for ever', async () => {
  let hasStarted = false
  const driver = driverOf(
    (_spec, { stop }) => {
      stop()
      hasStarted = true
      return new Promise(() => undefined)
    },
    { remove: () => true },
  )
  void driver.prepare(SPEC)
  await expect.poll(() => hasStarted, { timeout: 30_000 }).toBe(true)
  // A second at every look.
  let nowMs = 0
  vi.spyOn(Date, 'now').mockImplementation(() => {
    nowMs += 1_000
    return nowMs
  })
  await expect(driver.kill('m1')).rejects.toMatchObject({
    code: 'MACHINE_ALIVE',
    message: 'processes of the machine m1 are still there: one that is being started',
  })
}, 60_000)

it('ends a process of a machine that is not in its group, before anything of the machine is forgotten', async () => {
  const { pid = 0 } = spawn('sleep', ['600'], { stdio: 'ignore' })
  const alive: boolean[] = []
  const make = (_spec: MachineSpec, { folder }: Making) => {
    folder.make({ ...SPEC, user: process.getuid?.() ?? 0 })
    return Promise.reject(new TypeError('it is not where it should be'))
  }
  const remove = () => alive.push(isAlive(pid)) > 0
  try {
    const driver = driverOf(make, { remove, list: () => [] }, [pid])
    await expect(driver.prepare(SPEC)).rejects.toMatchObject({ code: 'MACHINE_START' })
    expect(alive[0]).toBe(false)
    expect(await driver.ids()).toEqual([])
  } finally {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  }
}, 60_000)

it('knows the QEMU of a domain by the name that libvirt gave it, and no other program or domain', async () => {
  const process = (pid: number, program: string, ...words: readonly string[]): void => {
    mkdirSync(join(directory, String(pid)))
    symlinkSync(`/usr/bin/${program}`, join(directory, String(pid), 'exe'))
    writeFileSync(join(directory, String(pid), 'cmdline'), [program, ...words, ''].join('\0'))
  }
  const QEMU = 'qemu-system-x86_64'
  process(1, 'init')
  process(11, QEMU, '-name', 'guest=own-m1,debug-threads=on', '-S')
  process(12, QEMU, '-name', 'guest=own-m11,debug-threads=on')
  process(13, QEMU, '-append', 'guest=own-m1,debug-threads=on')
  process(14, 'grep', '-name', 'guest=own-m1,debug-threads=on')
  process(15, QEMU, '-name', 'guest=own-m1')
  mkdirSync(join(directory, '16'))
  expect([...(await guestsNamed('own-m1', directory))].sort()).toEqual([11, 15])
})
