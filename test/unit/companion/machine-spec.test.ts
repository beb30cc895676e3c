// The pure half of the driver `qemu`: what a machine may be, what QMP may say, which headers of disks lead nowhere, and that a command line
// says everything. Each row changes one thing about what is good.

import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { MachineSpec } from '../../../src/companion/drivers/driver.js'
import { readQcow2 } from '../../../src/companion/drivers/qcow2.js'
import { qemuArguments, uuidOf } from '../../../src/companion/drivers/qemu-arguments.js'
import { readMessage } from '../../../src/companion/drivers/qmp-message.js'
import { checkSpec, specDigest } from '../../../src/companion/drivers/spec.js'
import { takeBackVfio, vfioGroupOf } from '../../../src/companion/drivers/vfio.js'

const file = { path: '/srv/images/kernel', digest: `sha256:${'a'.repeat(64)}`, bytes: 10 } as const
const GOOD: MachineSpec = {
  id: 'ws-1',
  workspace: 'spiffe://fleet.example/ws/one',
  boot: { image: 'tiny@1', kernel: { file, initrd: file, commandLine: 'console=ttyS0' } },
  cpus: 2,
  memoryMiB: 256,
  nic: { kind: 'tap', interface: 'tap0', mac: '02:00:00:00:00:02' },
  volumes: [{ tag: 'data', kind: 'virtiofs', source: '/run/view/data', readOnly: false }],
  limits: { cpuPercent: 200, memoryMiB: 512, pids: 64 },
  user: 60_001,
}

describe('a specification', () => {
  it('passes as it is', () => {
    expect(checkSpec(GOOD)).toBe(GOOD)
    expect(specDigest({ ...GOOD, cpus: 1 })).not.toBe(specDigest(GOOD))
    expect(uuidOf(GOOD)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
  const kernel = { file, commandLine: '' }
  it.each<[Partial<MachineSpec>, string]>([
    [{ id: '../up' }, '"../up" is not an id of a machine'],
    [{ id: '' }, '"" is not an id of a machine'],
    [{ workspace: 'one' }, '"one" is no workspace'],
    [{ user: 0 }, 'the user is not 1000 to 2147483647'],
    [{ user: 65_534 }, 'the user is one that others share'],
    [{ cpus: 0 }, 'the number of CPUs is not 1 to 256'],
    [{ memoryMiB: 1.5 }, 'the memory is not 32 to 4194304'],
    [{ limits: { ...GOOD.limits, memoryMiB: 256 } }, 'the limit of memory is not 384 to 8388608'],
    [{ limits: { ...GOOD.limits, pids: 4 } }, 'the limit of threads is not 34 to 32768'],
    [{ boot: { image: 'x@1' } }, 'it has neither a kernel nor a disk'],
    [
      { boot: { image: 'x@1', kernel: { ...kernel, commandLine: 'a\nb' } } },
      'the command line of the kernel is not printable',
    ],
    [
      { boot: { image: 'x@1', kernel: { ...kernel, file: { ...file, path: '/srv/a,readonly=off' } } } },
      'is not an absolute path of plain characters',
    ],
    [
      { boot: { image: 'x@1', disk: { base: file, format: 'raw', overlay: '/srv/../etc/layer' } } },
      '"/srv/../etc/layer" is not an absolute path',
    ],
    [{ nic: { kind: 'tap', interface: 'a/b', mac: '02:00:00:00:00:02' } }, '"a/b" is no interface'],
    [{ nic: { kind: 'tap', interface: 'tap0', mac: '03:00:00:00:00:02' } }, 'is not a MAC address of one interface'],
    [{ nic: { kind: 'tap', interface: 'tap0', mac: '02:00:00:00:00:AA' } }, 'is not a MAC address of one interface'],
    [{ nic: { kind: 'vfio', pci: '3:0.0', mac: '02:00:00:00:00:02' } }, '"3:0.0" is no PCI address'],
    [{ volumes: [...GOOD.volumes, ...GOOD.volumes] }, 'two volumes have one tag'],
    [{ volumes: [{ tag: 'a b', kind: 'virtiofs', source: '/a', readOnly: true }] }, '"a b" is no tag of a volume'],
    [{ volumes: [{ tag: 'a', kind: 'virtiofs', source: 'a', readOnly: true }] }, '"a" is not an absolute path'],
    [
      { volumes: [{ tag: 'a', kind: '9p' as 'virtiofs', source: '/a', readOnly: true }] },
      'a volume of kind "9p": virtiofs is what machines get',
    ],
  ])('is refused: %#', (change, why) => {
    expect(() => checkSpec({ ...GOOD, ...change })).toThrow(expect.objectContaining({ code: 'MACHINE_SPEC' }))
    expect(() => checkSpec({ ...GOOD, ...change })).toThrow(why)
  })

  it('becomes a command line without defaults, in which every device has a name', () => {
    const around = { accelerator: 'tcg', control: '/run/m/qmp', shares: new Map([['data', '/run/m/share0']]) } as const
    const words = qemuArguments(GOOD, { tap: 5, kernel: 3, initrd: 4 }, around)
    for (const word of ['-nodefaults', '-no-user-config', '-S', '-sandbox']) expect(words).toContain(word)
    const given = (option: string) => words.flatMap((word, i) => (words[i - 1] === option ? [word] : []))
    expect(given('-kernel')).toEqual(['/proc/self/fd/3'])
    expect(given('-netdev')).toEqual(['tap,id=net,fd=5'])
    expect(given('-device').every((device) => /,id=[a-z0-9]+(,|$)/.test(device))).toBe(true)
    expect(words.join(' ')).not.toMatch(/\/srv\/images/)
    const vf: MachineSpec = { ...GOOD, nic: { kind: 'vfio', pci: '0000:03:00.2', mac: '02:00:00:00:00:02' } }
    const handed = qemuArguments(vf, { kernel: 3, initrd: 4 }, around)
    expect(handed).toContain('vfio-pci,id=nic,host=0000:03:00.2')
    expect(handed).not.toContain('-netdev')
  })
})

describe('a line of QMP', () => {
  it.each([
    [
      '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}',
      { kind: 'greeting', version: '7.2.22' },
    ],
    ['{"return": {}, "id": 7}', { kind: 'answer', id: 7, value: {} }],
    [
      '{"error": {"class": "GenericError", "desc": "no"}, "id": 7}',
      { kind: 'error', id: 7, name: 'GenericError', say: 'no' },
    ],
    ['{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}', { kind: 'event', name: 'STOP' }],
  ])('is read: %#', (line, message) => {
    expect(readMessage(line)).toEqual(message)
  })
  it.each([
    ['{"return": {}, "return": 1, "id": 7}', 'it is not strict JSON'],
    ['{"return": {}}', 'it is no answer, event or greeting'],
    ['{"return": {}, "id": "7"}', 'id is not a number'],
    ['{"QMP": {"version": {}}}', 'qemu is not an object'],
    ['[]', 'a message is not an object'],
    ['', 'it is not strict JSON'],
  ])('is refused: %s', (line, why) => {
    expect(() => readMessage(line)).toThrow(why)
  })
})

describe('a header of a disk', () => {
  const header = (change: (view: DataView) => void = () => undefined): Uint8Array => {
    const view = new DataView(new ArrayBuffer(104))
    view.setUint32(0, 0x514649fb)
    view.setUint32(4, 3)
    view.setBigUint64(24, 1n << 30n)
    change(view)
    return new Uint8Array(view.buffer)
  }
  it('leads nowhere', () => {
    expect(readQcow2(header())).toEqual({ virtualBytes: 1 << 30 })
    expect(readQcow2(header((view) => view.setBigUint64(72, 0x19n)))).toEqual({ virtualBytes: 1 << 30 })
  })
  it.each<[(view: DataView) => void, string]>([
    [(view) => view.setUint32(0, 0), 'it is not a qcow2 image'],
    [(view) => view.setUint32(4, 2), 'it is qcow2 version 2, and 3 is expected'],
    [(view) => view.setBigUint64(8, 4096n), 'it names a backing file'],
    [(view) => view.setUint32(16, 9), 'it names a backing file'],
    [(view) => view.setUint32(32, 2), 'it is encrypted'],
    [(view) => view.setBigUint64(72, 4n), 'it names an external data file'],
    [(view) => view.setBigUint64(72, 2n), 'it says that it is corrupt'],
    [(view) => view.setBigUint64(72, 32n), 'it has the unknown features 0x20'],
    [(view) => view.setBigUint64(24, 0n), 'it shows a disk of 0 octets'],
  ])('is refused: %#', (change, why) => {
    expect(readQcow2(header(change))).toBe(why)
  })
  it('is refused when it is short', () => {
    expect(readQcow2(header().subarray(0, 103))).toBe('it is too short for a qcow2 header')
  })
})

describe('a virtual function', () => {
  it('is taken only when vfio-pci has it and it is alone in its group', () => {
    const root = mkdtempSync(join(tmpdir(), 'sluice-vfio-'))
    const [pci, other] = ['0000:03:00.2', '0000:03:00.3']
    const device = join(root, 'sys/bus/pci/devices', pci)
    const refused = (why: string) => expect(() => vfioGroupOf(pci, join(root, 'sys'), join(root, 'dev'))).toThrow(why)
    try {
      refused('there is no such function')
      mkdirSync(device, { recursive: true })
      for (const name of [
        'drivers/mlx5_core',
        'drivers/vfio-pci',
        `groups/17/devices/${pci}`,
        `groups/17/devices/${other}`,
      ])
        mkdirSync(join(root, name), { recursive: true })
      symlinkSync(join(root, 'drivers/mlx5_core'), join(device, 'driver'))
      refused('its driver is mlx5_core, not vfio-pci')
      rmSync(join(device, 'driver'))
      symlinkSync(join(root, 'drivers/vfio-pci'), join(device, 'driver'))
      writeFileSync(join(device, 'class'), '0x010802\n')
      refused('it is no network device')
      writeFileSync(join(device, 'class'), '0x020000\n')
      refused('it has no IOMMU group')
      symlinkSync(join(root, 'groups/17'), join(device, 'iommu_group'))
      refused(`its IOMMU group also has ${other}`)
      rmSync(join(root, 'groups/17/devices', other), { recursive: true })
      refused('is not there')
      mkdirSync(join(root, 'dev/vfio'), { recursive: true })
      writeFileSync(join(root, 'dev/vfio/17'), '')
      expect(vfioGroupOf(pci, join(root, 'sys'), join(root, 'dev'))).toBe(join(root, 'dev/vfio/17'))
      if (process.getuid?.() === 0) {
        chownSync(join(root, 'dev/vfio/17'), 63_000, 63_000)
        takeBackVfio(pci, 0, join(root, 'sys'), join(root, 'dev'))
        expect(statSync(join(root, 'dev/vfio/17'))).toMatchObject({ uid: 0, gid: 0 })
      }
      rmSync(join(root, 'dev/vfio/17'))
      for (const gone of [pci, other]) takeBackVfio(gone, 0, join(root, 'sys'), join(root, 'dev'))
    } finally {
      rmSync(root, { recursive: true })
    }
  })
})
