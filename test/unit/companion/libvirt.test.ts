// What the driver `libvirt` says without a daemon: the domain that is asked for, what libvirt may say that there is, and the program that
// it starts.

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { MachineSpec } from '../../../src/companion/drivers/driver.js'
import { type DomainPlace, domainXml } from '../../../src/companion/drivers/libvirt-domain.js'
import { emulatorScript, ensureEmulator } from '../../../src/companion/drivers/libvirt-emulator.js'
import { judgeLive, readXml } from '../../../src/companion/drivers/libvirt-live.js'
import { virshAt } from '../../../src/companion/drivers/virsh.js'

const file = { path: '/srv/images/kernel', digest: `sha256:${'a'.repeat(64)}`, bytes: 10 } as const
const SPEC: MachineSpec = {
  id: 'ws-1',
  workspace: 'spiffe://fleet.example/ws/one',
  boot: {
    image: 'tiny@1',
    kernel: { file, initrd: file, commandLine: `console=ttyS0 x='<&">'` },
    disk: { base: { ...file, path: '/srv/images/golden' }, format: 'raw', overlay: '/srv/layers/one' },
  },
  cpus: 2,
  memoryMiB: 256,
  nic: { kind: 'tap', interface: 'tap0', mac: '02:00:00:00:00:02' },
  volumes: [{ tag: 'data', kind: 'virtiofs', source: '/run/view/data', readOnly: false }],
  limits: { cpuPercent: 200, memoryMiB: 512, pids: 64 },
  user: 60_001,
}
const PLACE: DomainPlace = {
  ...{ name: 'sluice-machines-0-ws-1', accelerator: 'tcg', emulator: '/run/m/.emulator', group: 60_001 },
  ...{ partition: '/sluice.partition/ws-1.partition', kernel: '/run/m/kernel', initrd: '/run/m/initrd' },
  ...{ consoleLog: '/run/m/console.log', shares: new Map([['data', '/run/m/own/share0']]) },
}
const XML = domainXml(SPEC, PLACE)

describe('a domain', () => {
  it('is one that the reader of what libvirt says finds nothing about', () => {
    expect(judgeLive(readXml(XML), SPEC, PLACE)).toEqual([])
    const kernel = readXml(XML).children.find(({ name }) => name === 'os')
    expect(kernel?.children.map(({ name, text }) => [name, text])).toEqual([
      ['type', 'hvm'],
      ['kernel', '/run/m/kernel'],
      ['initrd', '/run/m/initrd'],
      ['cmdline', `console=ttyS0 x='<&">'`],
    ])
  })

  it('names no file that was not copied or handed over, and its user by number', () => {
    expect(XML).not.toContain(file.path)
    expect([...XML.matchAll(/fdgroup='(\w+)'/g)].map(([, group]) => group)).toEqual(['layer', 'base'])
    expect(XML).toContain("<seclabel type='static' model='dac' relabel='no'><label>+60001:+60001</label></seclabel>")
    expect(XML).toContain('<resource><partition>/sluice.partition/ws-1.partition</partition></resource>')
  })

  const DEVICES = '</devices>'
  it.each<[string, string, string]>([
    [DEVICES, "<interface type='network'><source network='default'/></interface></devices>", 'an interface "network'],
    [DEVICES, "<hostdev mode='subsystem' type='pci'/></devices>", 'libvirt has a device "hostdev"'],
    [DEVICES, "<channel type='unix'/></devices>", 'libvirt has a device "channel"'],
    [DEVICES, "<graphics type='vnc' port='5900'/></devices>", 'libvirt has a device "graphics"'],
    [DEVICES, "<disk type='network' device='disk'/></devices>", 'libvirt has a disk at ""'],
    [DEVICES, "<controller type='virtio-serial'/></devices>", 'a controller of type "virtio-serial"'],
    [DEVICES, "<memballoon model='virtio'/></devices>", 'a memballoon of type "virtio"'],
    ["model='none'/>", "model='qemu-xhci'/>", 'libvirt has a USB controller'],
    ["managed='no'", "managed='yes'", 'an interface "ethernet 02:00:00:00:00:02 tap0 yes qemu"'],
    ["dev='tap0'", "dev='tap1'", 'an interface "ethernet 02:00:00:00:00:02 tap1 no qemu"'],
    ["<driver name='qemu'/>", "<driver name='vhost'/>", 'tap0 no vhost"'],
    ['/run/m/.emulator', '/usr/bin/qemu', 'the emulator "/usr/bin/qemu"'],
    ['/run/m/own/share0', '/run/other', 'a share "data" that is not a volume'],
    ["<serial type='null'>", "<serial type='tcp'>", 'a serial of type "tcp"'],
    ['<devices>', "<qemu:commandline><qemu:arg value='-nic'/></qemu:commandline><devices>", '"qemu:commandline"'],
  ])('is another one with %s as %s', (from, to, found) => {
    const findings = judgeLive(readXml(XML.replace(from, to)), SPEC, PLACE)
    expect(findings.join('; ')).toContain(found)
  })

  it('is not one that lacks what was asked for', () => {
    const bare = readXml("<domain type='qemu'><devices/></domain>")
    expect(judgeLive(bare, SPEC, PLACE)).toEqual([
      'libvirt has 0 of interface, not 1',
      'libvirt has 0 of serial, not 1',
      'libvirt has 0 of emulator, not 1',
      'libvirt has 0 of disk, not 1',
      'libvirt has 0 of filesystem, not 1',
    ])
    expect(judgeLive(readXml('<domain/>'), SPEC, PLACE)).toEqual(['libvirt does not say what devices there are'])
  })
})

it.each([
  ['', 'does not say one whole element'],
  ['<a>', 'does not say one whole element'],
  ['<a/><b/>', 'does not say one whole element'],
  ['<a></b>', '</b> closes nothing'],
  ['</a>', '</a> closes nothing'],
  ['<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 'no XML of its kind'],
  ['<a><![CDATA[x]]></a>', 'no XML of its kind'],
  ['<a b=c/>', 'no XML of its kind'],
  [`${'<a>'.repeat(70)}${'</a>'.repeat(70)}`, 'nested too deeply'],
])('reads no XML but as libvirt writes it: %s', (text, why) => {
  expect(() => readXml(text)).toThrow(why)
})

it('starts QEMU in namespaces of its own, and only asks it where there is no machine', () => {
  const lines = emulatorScript('sluice-machines-0', '/run/m', '/usr/bin/qemu-system-x86_64').split('\n')
  expect(lines.filter((line) => line.includes('exec '))).toEqual([
    '[ -n "$id" ] || exec /usr/bin/qemu-system-x86_64 "$@"',
    'exec unshare --user --map-current-user --keep-caps --net --ipc --uts -- setpriv --no-new-privs --ambient-caps=-all --inh-caps=-all --bounding-set=-all -- \\',
  ])
})

it('is written for every user to run, whatever the umask is, and only where it differs', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-emulator-'))
  const before = process.umask(0o077)
  try {
    const path = ensureEmulator('own', directory, '/usr/bin/qemu')
    expect(statSync(path).mode & 0o777).toBe(0o755)
    const { ino } = statSync(path)
    expect([ensureEmulator('own', directory, '/usr/bin/qemu'), statSync(path).ino]).toEqual([path, ino])
    ensureEmulator('own', directory, '/usr/bin/other')
    expect(readFileSync(path, 'utf8')).toContain('/usr/bin/other "$@"')
  } finally {
    process.umask(before)
    rmSync(directory, { recursive: true })
  }
})

it('asks virsh nothing that needs quoting', async () => {
  await expect(virshAt('qemu:///system')([['destroy', 'a; undefine b']])).rejects.toThrow(
    '"a; undefine b" needs quoting',
  )
})
